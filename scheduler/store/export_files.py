"""Writes the files of an export. Nothing is overwritten: a file that is there must have the same bytes, and stays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocol.codec import MAX_IMAGE_BYTES
from scheduler.base.files import read_file, write_atomically
from scheduler.base.text import counted, one_line
from scheduler.benchmark import PairError, SourceImage
from scheduler.benchmark.images import as_png
from scheduler.benchmark.units import EditUnit
from scheduler.store.export import ExportedEdit, ExportError, sample_folder

_SHOWN = 5

SourceOf = Callable[[str], SourceImage | None]
"""Returns the source image of the pair with this key; None if there is none."""


class _UnavailableError(Exception):
    """The image is not there, or is another one; the message says it."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to write, its content, and the file that has the same bytes and may be linked to."""

    path: Path
    content: Callable[[], bytes]
    original: Path | None = None


@dataclass
class Exported:
    """What an export has done: how many edits it wrote, how many were there already, and which have no image."""

    written: int = 0
    kept: int = 0
    converted: int = 0
    failed: list[tuple[EditUnit, str]] = field(default_factory=list)


def write_export(
    edits: Sequence[ExportedEdit], run: Path, folder: Path, source_of: SourceOf, *, link: bool
) -> Exported:
    """Write the edits of the run in the folder ``run`` into ``folder``; ``link``: as hard links where that is possible.

    Raises:
        ExportError: a file is there with other bytes, or no image is there any more. Nothing was written.
        OSError: a file cannot be written. What was written is complete.
    """
    files = {edit.unit: list(_files(edit, run, sample_folder(folder, edit.unit.sample), source_of)) for edit in edits}
    _refuse_conflicts([file for of_edit in files.values() for file in of_edit])
    if edits and not any((run / edit.row.image).exists() for edit in edits):
        raise ExportError(
            f"none of the {counted(len(edits), 'image')} of this run is there any more: edits are kept with "
            "evaluation.save_generated_images: true"
        )
    exported = Exported()
    for edit in edits:
        try:
            absent = [file for file in files[edit.unit] if not file.path.exists()]
            for file in absent:
                _write(file, link=link)
        except (_UnavailableError, PairError) as error:
            exported.failed.append((edit.unit, str(error)))
            continue
        exported.written += bool(absent)
        exported.kept += not absent
        exported.converted += edit.converted
    return exported


def _files(edit: ExportedEdit, run: Path, folder: Path, source_of: SourceOf) -> Iterator[_File]:
    """Yield the source first: an edit is complete when it has its own file."""
    if edit.source is not None:
        yield _File(folder / edit.source, lambda: _source(edit, source_of))
    image = run / edit.row.image  # an image elsewhere is recorded with its absolute path, which replaces the run's
    if edit.converted:
        yield _File(folder / edit.target, lambda: as_png(_recorded(image, edit.row.sha256)))
    else:
        yield _File(folder / edit.target, lambda: _recorded(image, edit.row.sha256), image)


def _refuse_conflicts(files: Sequence[_File]) -> None:
    conflicts = [file.path for file in files if file.path.exists() and not _is_there(file)]
    if conflicts:
        named = "".join(f"\n  {one_line(path, 400)}" for path in conflicts[:_SHOWN])
        more = f"\n  and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        what = counted(len(conflicts), "file is", "files are")
        raise ExportError(f"{what} there already, and not the same: export to another folder{named}{more}")


def _is_there(file: _File) -> bool:
    """Whether the file on disk has the content."""
    try:
        return file.path.is_file() and file.content() == read_file(str(file.path))
    except (_UnavailableError, PairError):
        return False


def _write(file: _File, *, link: bool) -> None:
    content = file.content()  # also for a link: it must be the image that was recorded
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if link and file.original is not None:
        try:
            os.link(file.original.resolve(), file.path)
        except OSError:  # another file system, or one without hard links
            pass
        else:
            return
    write_atomically(file.path, content, durable=False)


def _recorded(path: Path, sha256: str) -> bytes:
    """Return the image in this file if it is the one that was recorded."""
    try:
        # A pipe in the place of the file would block for ever.
        data = read_file(str(path)) if path.is_file() and path.stat().st_size <= MAX_IMAGE_BYTES else None
    except OSError as error:
        raise _UnavailableError(f"{path} cannot be read: {error.strerror or error}") from error
    if data is None:
        raise _UnavailableError(f"its image {path} is not there any more")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _UnavailableError(f"{path} is no longer the image that was recorded")
    return data


def _source(edit: ExportedEdit, source_of: SourceOf) -> bytes:
    source = source_of(edit.unit.key)
    if source is None:
        raise _UnavailableError("the data has no source image of it any more")
    if source.sha256 != edit.source_sha256:
        raise _UnavailableError("its source image in the data is another one now")
    return as_png(source.read())
