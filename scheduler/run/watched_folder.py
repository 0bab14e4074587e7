"""Looks at the output folder of a training: which checkpoints are in it, and what they lack.

Only names, sizes, times and the headers of weights are read. A look is the same on a network file system.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scheduler.run.watch_order import Sighting
from scheduler.store.checkpoints import checkpoint_step, step_in_name
from workers.models.assembled import trainable_components
from workers.models.model_folder import ENTRY_FILES, component_names, damaged_files, few, missing_files

MAX_DEPTH = 3
"""How far below the watched folder a checkpoint may lie, as in ``run-1/checkpoints/step-1000``."""

_LORA = "pytorch_lora_weights.safetensors"
_UNFINISHED = r"(?:tmp|temp|partial|incomplete|writing)"
_TEMPORARY_FOLDER = re.compile(rf"{_UNFINISHED}[-_.].*|.*[-_.]{_UNFINISHED}", re.IGNORECASE)
_PARTIAL_FILE = re.compile(
    r".*\.(?:tmp|temp|part|partial|incomplete|lock)|\..*\.safetensors.*|.*\.safetensors[.~](?!index\.json$).+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _File:
    path: str
    """Relative to the checkpoint."""
    size: int
    mtime_ns: int
    changed: float


class WatchedFolder:
    """``entry_file`` is the file without which a folder is no model of the editor; None if it takes any folder.
    ``base`` is the pipeline of which a checkpoint may have some components without the others.
    """

    def __init__(self, folder: Path, entry_file: str | None, *, output_dir: Path, base: Path | None = None) -> None:
        self.path = folder
        self._entry_file = entry_file
        self._not = output_dir.resolve()
        self._base = str(base)
        self._trainable = sorted(trainable_components(base)) if base is not None else []

    def look(self, decided: Mapping[str, str]) -> list[Sighting]:
        """Return its checkpoints. What one lacks is not looked up if ``decided`` has its version by its path.

        Raises:
            OSError: the folder cannot be read.
        """
        next(self.path.iterdir(), None)  # says why, where what is below only looks empty
        return [one for path in self._checkpoints(self.path, 0) if (one := self._sighting(path, decided)) is not None]

    def look_at(self, path: str) -> Sighting | None:
        """Return one checkpoint as it is now; None if it is not there any more."""
        folder = self.path / path
        return self._sighting(folder, {}) if folder.is_dir() else None

    def _checkpoints(self, folder: Path, depth: int) -> Iterator[Path]:
        """Yield the checkpoints in the folder, and what will become one: a folder with a step in its name."""
        is_model = self._is_model(folder) or (depth > 0 and bool(self._trained(folder)))
        inner = False
        if not is_model or depth == 0:  # a training may leave its last model in the folder itself
            for child in _folders(folder) if depth < MAX_DEPTH else ():
                if self._is_elsewhere(child):
                    continue
                for found in self._checkpoints(child, depth + 1):
                    inner = True
                    yield found
        if is_model or (depth and not inner and step_in_name(folder.name) is not None):
            yield folder

    def _is_model(self, folder: Path) -> bool:
        entries = ENTRY_FILES if self._entry_file is None else (self._entry_file,)
        return any((folder / name).is_file() for name in entries)

    def _trained(self, folder: Path) -> tuple[str, ...]:
        """The components that are there, of a checkpoint that is no whole model."""
        if self._is_model(folder):
            return ()
        return tuple(name for name in self._trainable if (folder / name).is_dir())

    def _is_elsewhere(self, folder: Path) -> bool:
        """Whether it is the output of this program, or a link to a checkpoint that is found anyway (``latest``)."""
        target = folder.resolve()
        return target == self._not or (folder.is_symlink() and target.is_relative_to(self.path.resolve()))

    def _sighting(self, folder: Path, decided: Mapping[str, str]) -> Sighting | None:
        path = os.path.relpath(folder, self.path)
        try:
            files = sorted(self._files(folder), key=lambda file: file.path)
            changed = max((file.changed for file in files), default=folder.stat().st_mtime)
        except OSError:
            return None  # deleted or renamed meanwhile
        trained = self._trained(folder)
        content = [(file.path, file.size, file.mtime_ns) for file in files]
        version = hashlib.sha256(repr([content, self._base] if trained else content).encode()).hexdigest()[:16]
        return Sighting(
            path=path,
            step=checkpoint_step(str(folder.absolute())),
            version=version,
            age=max(0.0, time.time() - changed),
            lacks=() if decided.get(path) == version else tuple(self._lacks(folder, files)),
            temporary=any(_TEMPORARY_FOLDER.fullmatch(part) for part in path.split("/")),
            trained=trained,
        )

    def _files(self, folder: Path) -> Iterator[_File]:
        """The files that the model consists of; all files of a folder that is none yet."""
        components = component_names(folder) if self._entry_file is not None else []
        components = components or list(self._trained(folder))
        if not components:
            yield from _below(folder, folder, MAX_DEPTH)
            return
        for name in ENTRY_FILES:
            yield from _file(folder, folder / name)
        for name in components:
            yield from _below(folder, folder / name, MAX_DEPTH)

    def _lacks(self, folder: Path, files: list[_File]) -> Iterator[str]:
        if partial := [file.path for file in files if _PARTIAL_FILE.fullmatch(file.path.rpartition("/")[2])]:
            yield f"still being written: {few(partial)}"
        try:
            if trained := self._trained(folder):
                if missing := [f"{name}/{file}" for name in trained for file in _missing_of(folder / name)]:
                    yield f"it lacks {few(missing)}"
            elif self._entry_file is not None and not (folder / self._entry_file).is_file():
                yield f"it lacks {self._entry_file}{_hint(folder)}"
            elif self._is_model(folder) and (missing := missing_files(folder)):
                yield f"it lacks {few(missing)}"
            if damaged := damaged_files(folder):
                yield few(damaged)
        except OSError as error:  # deleted or renamed meanwhile
            yield f"it can't be read: {error}"


def _hint(folder: Path) -> str:
    """What a folder that is no pipeline may be instead."""
    if (folder / _LORA).is_file():
        return f"; it has {_LORA}, and a LoRA alone is not evaluated"
    if components := [child.name for child in _folders(folder) if (child / "config.json").is_file()]:
        return f"; for {few(components)} alone, model_name in the config must be their pipeline, on this machine"
    return ""


def _missing_of(component: Path) -> list[str]:
    missing = missing_files(component)
    return missing or ([] if any(component.glob("*.safetensors")) else ["*.safetensors"])


def _folders(folder: Path) -> list[Path]:
    """The folders in this one that are not hidden; none if it cannot be read."""
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError:
        return []


def _below(base: Path, folder: Path, depth: int) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if depth and not entry.name.startswith("."):
                    yield from _below(base, Path(entry.path), depth - 1)
            else:
                yield from _file(base, Path(entry.path))


def _file(base: Path, path: Path) -> Iterator[_File]:
    """The file, if it counts: hidden ones do so while a copying program writes weights into them."""
    if path.name.startswith(".") and not _PARTIAL_FILE.fullmatch(path.name):
        return
    try:
        facts = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(facts.st_mode):
        changed = max(facts.st_mtime, facts.st_ctime)
        yield _File(os.path.relpath(path, base), facts.st_size, facts.st_mtime_ns, changed)
