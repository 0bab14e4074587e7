"""Which files a table is made of: one file, the shards of a folder, or what the ``datasets`` library has saved."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from scheduler.base.text import counted
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import DataError

SUFFIXES = (".parquet", ".arrow")
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})")
_MAX_FILES = 10_000
_MAX_STATE_BYTES = 1 << 24


def table_suffix(path: Path) -> str | None:
    """Return the suffix of the files of a table, None if the path is none, nor a folder with some."""
    if not path.is_dir():
        return path.suffix if path.suffix in SUFFIXES and path.is_file() else None
    if (path / "dataset_dict.json").is_file():
        return ".arrow"
    return next((file.suffix for file in _found(path)), None)


def table_files(path: Path) -> list[Path]:
    """Return the files of one table in their order; raises ``DataError`` if there is none, or more than one."""
    if not path.is_dir():
        return [path.absolute()]
    if (path / "dataset_dict.json").is_file():
        splits = _names(path / "dataset_dict.json", "splits")
        return table_files(path / _only([path / split for split in splits], path))
    if (path / "state.json").is_file():
        return [_saved(path, name) for name in _names(path / "state.json", "_data_files")]
    found = _found(path)
    if not found:
        raise DataError("there is no .parquet and no .arrow file in this folder")
    if len(found) > _MAX_FILES:
        raise DataError(f"there are more than {_MAX_FILES} files in this folder")
    tables: dict[Path, list[Path]] = defaultdict(list)
    for file in found:
        shard = _SHARD.fullmatch(file.stem)
        tables[file.with_name(shard[1] if shard else file.stem)].append(file)
    shards = tables[_only(list(tables), path)]
    _check_complete(shards)
    return [file.absolute() for file in shards]


def _found(path: Path) -> list[Path]:
    """Return the files of the folder, or else of the folders in it; of two kinds, those of the first."""
    for pattern in ("*", "*/*"):
        for suffix in SUFFIXES:
            files = sorted(file for file in path.glob(pattern + suffix) if not file.name.startswith((".", "cache-")))
            if files:
                return files
    return []


def _only(tables: list[Path], path: Path) -> Path:
    if len(tables) != 1:
        names = ", ".join(shown(str(table.relative_to(path))) for table in tables[:20]) or "none"
        raise DataError(f"it has {len(tables)} tables ({names}); name the file, or the folder, of one of them")
    return tables[0]


def _check_complete(shards: list[Path]) -> None:
    numbered = [shard for file in shards if (shard := _SHARD.fullmatch(file.stem))]
    if not numbered:
        return
    count = int(numbered[0][3])
    missing = set(range(count)) - {int(shard[2]) for shard in numbered}
    if missing or len(numbered) != count:
        names = ", ".join(f"{numbered[0][1]}-{number:05}-of-{count:05}" for number in sorted(missing)[:5])
        raise DataError(
            f"{len(numbered)} of its {counted(count, 'file')} are there" + (f"; missing are {names}" if names else "")
        )


def _names(file: Path, key: str) -> list[str]:
    """Return the names in a file of the ``datasets`` library; each is one part of a path."""
    try:
        with file.open("rb") as opened:
            entries = json.loads(opened.read(_MAX_STATE_BYTES))[key]
        names = [entry["filename"] if isinstance(entry, dict) else entry for entry in entries]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{file.name} is not as the datasets library writes it: {error!r}") from error
    for name in names:
        if not isinstance(name, str) or not name or name in {".", ".."} or "/" in name or "\0" in name:
            raise DataError(f"{file.name} names {name!r}, which is no file of this folder")
    return names


def _saved(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise DataError(f"state.json names {shown(name)}, which is not there")
    return (folder / name).absolute()
