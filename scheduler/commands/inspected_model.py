"""What a folder with a model holds: its class, parameters and bytes, and the packages that it needs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from math import prod
from pathlib import Path
from typing import Any

from rich.console import Console

from scheduler.base.text import format_size, one_line
from scheduler.config.checks.packages import install_hint
from scheduler.terminal.say import say
from workers.models.fitting import WORKING_BYTES, parts_of, ways
from workers.models.model_folder import damaged_files, loaded_weights, missing_files
from workers.models.safetensors_files import SUFFIX, DamagedFileError, read_header
from workers.models.sharing import together

_MAX_JSON_BYTES = 1 << 24
_LAYER = re.compile(r"(.*?)\.(\d+)\.")
_LIST = re.compile("layers|blocks")
_DTYPE = "bfloat16"
_BESIDES = {"diffusers": ("torch", "accelerate"), "transformers": ("torch", "accelerate")}
"""What each library needs beside itself to load a model."""


@dataclass(frozen=True)
class _Part:
    """A pipeline's component, or the whole of a model that is none."""

    name: str
    kind: str
    library: str | None
    folder: Path


def is_model(path: Path) -> bool:
    """Whether the path is a pipeline's folder, or one with a model's config beside its weights."""
    if not path.is_dir():
        return False
    if (path / "model_index.json").is_file():
        return True
    return (path / "config.json").is_file() and any(path.glob(f"*{SUFFIX}*"))


def inspect_model(folder: Path, other: Path | None = None) -> int:
    """Print what the folder holds, and how it shares a GPU with the model of ``other``; return the exit code."""
    lines, problems = describe_model(folder)
    if other is not None:
        more, unfit = describe_sharing(folder, other)
        lines, problems = [*lines, *more], [*problems, *unfit]
    say(Console(highlight=False), *map(one_line, lines), *(f"Problem: {one_line(problem)}" for problem in problems))
    return 2 if problems else 0


def describe_model(folder: Path) -> tuple[list[str], list[str]]:
    """Return what the folder holds, a line each, and what is wrong with it."""
    lines: list[str] = []
    problems = [f"{name} is missing" for name in missing_files(folder)]
    problems += damaged_files(folder)
    role = _role(folder)
    pipeline = role == "editor"
    entry = _object(folder / ("model_index.json" if pipeline else "config.json"), problems)
    parts = list(_components(folder, entry) if pipeline else _whole(folder, entry))
    kind = str(entry.get("_class_name")) if pipeline else parts[0].kind
    made = entry.get("_diffusers_version" if pipeline else "transformers_version")
    library = "diffusers" if pipeline else "transformers"
    lines += [f"Model: {folder}", f"Class: {kind} of {library}" + (f", saved with {made}" if made else "")]
    weights = set(loaded_weights(folder))
    total = Counter[str]()
    for part in parts:
        held, lists = _tensors([path for path in weights if path.is_relative_to(part.folder)], problems)
        total += held
        if pipeline and held:
            lines.append(f"  {part.name}: {part.kind}, {_amount(held)}{_layers(lists)}")
    lines.append(f"Parameters: {_amount(total)}" + ("" if pipeline else _layers(lists)))
    lines += _fitting_lines(weights, role)
    libraries = [library, *(part.library for part in parts if part.library)]
    lines += _package_lines(dict.fromkeys(libraries), role)
    return lines, problems


def describe_sharing(one: Path, other: Path) -> tuple[list[str], list[str]]:
    """Return how an editor and a judge share a GPU, a line for each kind of GPU, and what is wrong with them."""
    roles = {_role(folder): folder for folder in (one, other)}
    if not is_model(other):
        return [], [f"{other} is no model"]
    if len(roles) == 1:
        return [], [f"{other}: both are of one kind; one editor and one judge share a GPU"]
    editor, judge = (
        ways(parts_of(set(loaded_weights(roles[role])), _DTYPE).values(), role) for role in ("editor", "reward")
    )
    lines = [f"{gpu:>8}: {how}" for gpu, how in together(editor, judge).items()]
    return [f"On one GPU, {roles['editor'].name} and {roles['reward'].name}:", *lines], []


def _role(folder: Path) -> str:
    return "editor" if (folder / "model_index.json").is_file() else "reward"


def _components(folder: Path, entry: Mapping[str, Any]) -> Iterator[_Part]:
    for name, value in entry.items():
        match value:
            case [str(library), str(kind)] if name not in {"", ".", ".."} and "/" not in name:
                yield _Part(name, kind, library if library in _BESIDES else None, folder / name)


def _whole(folder: Path, entry: Mapping[str, Any]) -> Iterator[_Part]:
    names = entry.get("architectures")
    kind = str(names[0]) if isinstance(names, list) and names else str(entry.get("model_type", "an unknown class"))
    yield _Part("", kind, "transformers", folder)


def _tensors(paths: list[Path], problems: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Return the parameters and the bytes of these files, and how long each list of layers is."""
    held, layers = Counter[str](), set[tuple[str, str]]()
    for path in paths:
        try:
            for name, tensor in read_header(path).items():
                if numbered := _LAYER.match(name):
                    layers.add((numbered[1], numbered[2]))
                held["parameters"] += prod(tensor.shape)
                held["bytes"] += tensor.size_bytes
                held[tensor.dtype] += tensor.size_bytes
        except (OSError, DamagedFileError) as error:
            if not any(path.name in problem for problem in problems):
                problems.append(str(error))
    return held, Counter(prefix.rpartition(".")[2] for prefix, _ in layers)


def _layers(lists: Counter[str]) -> str:
    return "".join(f", {number} {name}" for name, number in lists.most_common(2) if number > 1 and _LIST.search(name))


def _amount(held: Counter[str]) -> str:
    kinds = sorted((name for name in held if name not in {"parameters", "bytes"}), key=lambda name: -held[name])
    sizes = ", ".join(f"{name} {format_size(held[name])}" if len(kinds) > 1 else name for name in kinds)
    return f"{held['parameters']:,} in {format_size(held['bytes'])}" + (f" ({sizes})" if kinds else "")


def _fitting_lines(weights: set[Path], role: str) -> Iterator[str]:
    """What of the weights a GPU holds, and which GPU has room for it."""
    parts = parts_of(weights, _DTYPE).values()
    if not any(part.size for part in parts):
        return
    working = format_size(WORKING_BYTES[role])
    yield f"On a GPU, as {_DTYPE}, with {working} (an estimate) to work with:"
    rows = ways(parts, role)
    width = max(len(way.keys) for way in rows)
    for way in rows:
        fits = ", ".join(name for name, room in way.fits.items() if room) or "none of these"
        yield f"  {way.keys:<{width}}  {format_size(way.size):>8}  fits on {fits}"


def _package_lines(libraries: Mapping[str, None], role: str) -> Iterator[str]:
    packages = list(dict.fromkeys([*libraries, *(more for name in libraries for more in _BESIDES.get(name, ()))]))
    versions = {name: _version(name) for name in packages}
    yield "Needs: " + ", ".join(f"{name} ({version or 'not installed'})" for name, version in versions.items())
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        yield f"To install {', '.join(missing)}: {install_hint(missing, role)}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _object(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{file.name} cannot be read: {error}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{file.name} holds no JSON object")
        return {}
    return content
