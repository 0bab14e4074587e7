"""Where a public benchmark's files lie: what its formats share."""

from __future__ import annotations

from pathlib import Path

from scheduler.benchmark.pairs import DataError


def has_file(path: Path, *names: str) -> bool:
    """Whether the path is a file of one of these names, or a folder that has one."""
    return path.name in names or any((path / name).exists() for name in names)


def data_file(path: Path, *names: str) -> tuple[Path, Path]:
    """Return the file with the items, as an absolute path, and the folder that its images' paths are relative to.

    The path is that file, whatever its name, or a folder with a file of one of these names; else ``DataError``.
    """
    if not path.is_dir():
        return _file(path), path.parent
    for name in names:
        if (path / name).exists():
            return _file(path / name), path
    raise DataError(f"there is no {' or '.join(names)} in this folder")


def _file(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path.name} is not a file")
    return path.absolute()
