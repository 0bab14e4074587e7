"""Writes the run that several shards are: its ledger, its manifest and its images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET, structs

from scheduler.base.files import take_file, write_atomically
from scheduler.store.merge import Merge, Part, merged_manifest
from scheduler.store.rows import EditedRow, PlannedRow, Row, encode_row
from scheduler.store.run_directory import RunDirectory


def write_merge(merge: Merge, output_dir: Path, process: Mapping[str, Any]) -> Path:
    """Write a new run under ``output_dir`` and return its folder; see ``merged_manifest`` for ``process``.

    Images become hard links where that is possible, else copies.

    Raises:
        OSError: a file cannot be read or written. No folder is left.
    """
    directory = RunDirectory.create(output_dir)
    try:
        with directory.ledger.open("wb") as ledger:
            ledger.writelines(map(encode_row, _rows(merge, directory)))
            ledger.flush()
            os.fsync(ledger.fileno())
        for part in merge.parts:
            _take_thumbnails(part.path / "thumbnails", directory.path / "thumbnails")
        write_atomically(directory.path / "config.yaml", (merge.parts[0].path / "config.yaml").read_bytes())
        directory.write_json("manifest.json", merged_manifest(merge, directory.stamp, process))
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    finally:
        directory.close()
    return directory.path


def _rows(merge: Merge, directory: RunDirectory) -> Iterator[Row]:
    """Yield all rows as one run has them: the pairs first, in the order of the data. Images are taken on the way."""
    for planned in merge.planned:
        yield structs.replace(planned, position=UNSET)
    seen: set[tuple[str, str]] = set()
    for part in merge.parts:
        for row in part.kept_rows():
            if isinstance(row, PlannedRow) and (row.category, row.pair_id) not in seen:
                seen.add((row.category, row.pair_id))
            elif isinstance(row, PlannedRow):  # planned again, after a change of the data
                yield structs.replace(row, position=UNSET)
            elif isinstance(row, EditedRow):
                yield structs.replace(row, image=_taken(row, part, directory))
            else:
                yield row


def _taken(row: EditedRow, part: Part, directory: RunDirectory) -> str:
    """Take the image, if it is there, and return its path as the ledger has it."""
    source = part.path / row.image  # an absolute path replaces the run's
    if part.manifest.get("edits"):
        return str(source.absolute())  # made elsewhere: it stays where it is
    target = directory.image_path(row.category, row.pair_id, row.sample)
    _take_once(source, Path(target))
    return directory.recorded(target)


def _take_thumbnails(source: Path, target: Path) -> None:
    for file in source.glob("*/*/*.jpg"):
        _take_once(file, target / file.relative_to(source))


def _take_once(source: Path, target: Path) -> None:
    """Take a file that is there, and has not been taken."""
    if not target.exists():
        take_file(str(source), str(target))
