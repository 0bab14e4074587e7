"""Whether a folder has all files of its model, and whole ones. Reads headers only, and imports no library of models.

A copy or a download that was cut off leaves a folder that looks like a model: loading it fails minutes later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ENTRY_FILES = ("model_index.json", "config.json")
_LIBRARIES = ("diffusers", "transformers")
_WHOLE = ("model.safetensors", "diffusion_pytorch_model.safetensors")
"""What weights in one file are called."""
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library."""
_LFS_POINTER = b"version https://git-lfs"


def missing_files(folder: Path) -> list[str]:
    """Return the files that the folder lacks to be a model: an entry file, weights, or shards that an index names."""
    if not any((folder / entry).is_file() for entry in ENTRY_FILES):
        return [" or ".join(ENTRY_FILES)]
    missing = list(_missing_weights(folder))
    for index, shards in _indexes(folder):
        if shards is None:
            missing.append(f"a readable {_within(folder, index)}")
        else:
            missing += [_within(folder, shard) for shard in shards if not shard.is_file()]
    return missing


def damaged_files(folder: Path) -> list[str]:
    """Return a sentence for each safetensors file of the model whose length is not what its header says."""
    files = {path for name in _WHOLE for path in folder.rglob(name)}
    files |= {shard for _, shards in _indexes(folder) for shard in shards or ()}
    problems = {path: _length_problem(path) for path in sorted(files) if path.is_file()}
    return [f"{_within(folder, path)} {problem}" for path, problem in problems.items() if problem is not None]


def loaded_weights(folder: Path) -> list[Path]:
    """Return the safetensors that loading the model reads: no other checkpoints, variants or LoRAs beside them."""
    folders = [folder / name for name in component_names(folder)] or [folder]
    found = [path for place in folders for path in _weights_in(place) if path.is_file()]
    return found or sorted(folder.rglob("*.safetensors"))


def component_names(folder: Path) -> list[str]:
    """Return the folders of a pipeline's components, by its ``model_index.json``; empty for anything else."""
    index = _object(folder / "model_index.json")
    return [name for name, source in index.items() if isinstance(source, list) and "/" not in name and name != ".."]


def _weights_in(folder: Path) -> list[Path]:
    """One file by its usual name, or else the shards of an index by its usual name."""
    whole = [folder / name for name in _WHOLE if (folder / name).is_file()]
    indexes = [folder / f"{name}.index.json" for name in _WHOLE]
    return whole[:1] or next((shards for shards in map(_shards, indexes) if shards), [])


def _indexes(folder: Path) -> Iterator[tuple[Path, list[Path] | None]]:
    """Each index of shards, and the paths that it names; None if it can't be read."""
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        yield index, _shards(index)


def _shards(index: Path) -> list[Path] | None:
    """The paths that an index names; None if it can't be read."""
    try:
        names = {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return [index.parent / name for name in sorted(names)]


def _within(folder: Path, path: Path) -> str:
    return str(path).removeprefix(f"{folder}/")


def few(words: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def _missing_weights(folder: Path) -> Iterator[str]:
    """What has a model's config and no safetensors, and components of a pipeline that are not there."""
    if _object(folder / "config.json").get("architectures") and not any(folder.glob("*.safetensors*")):
        yield "*.safetensors"
    for name, source in _object(folder / "model_index.json").items():
        if not (isinstance(source, list) and source and source[0] in _LIBRARIES):
            continue
        component = folder / name
        if not component.is_dir():
            yield f"{name}/"
        elif (component / "config.json").is_file() and not any(component.glob("*.safetensors*")):
            yield f"{name}/*.safetensors"


def _object(file: Path) -> dict[str, Any]:
    """The JSON object in the file; empty if there is none."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _length_problem(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        header_bytes = int.from_bytes(start, "little")
        if (start + file.read(len(_LFS_POINTER) - len(start))).startswith(_LFS_POINTER):
            return "is a pointer of Git LFS and not the file itself: `git lfs pull` fetches it"
        if header_bytes > min(size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
            return f"has {size} bytes, less than its header: it was cut off"
        file.seek(_LENGTH_BYTES)
        try:
            header = json.loads(file.read(header_bytes))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            described = _LENGTH_BYTES + header_bytes + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return "has a header that can't be read: it is damaged"
    if size == described:
        return None
    state = "it was cut off" if size < described else "it is damaged"
    return f"has {size} bytes, and its header describes {described}: {state}"
