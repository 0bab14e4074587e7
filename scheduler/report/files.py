"""Writes the reports, so that a reader finds either no file, the one before, or the whole new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from scheduler.report.json_form import report_as_json
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Report
from scheduler.text import encodable, one_line


def write_reports(report: Report, output_dir: Path, stamp: str, metrics: Sequence[str]) -> tuple[Path, Path]:
    """Write ``evaluation_report_<stamp>.json`` and ``.md`` into ``output_dir`` and return their paths.

    Reports of the same stamp are replaced, the folder is made if it is missing.

    Raises:
        ValueError: the stamp can't be part of a file name, or a metric is unknown. Nothing was written.
        OSError: a file can't be written. No half of one is left behind.
    """
    if not stamp or stamp != one_line(stamp) or set("/\\") & set(stamp):
        raise ValueError(f"the stamp of a report has to be a plain name, not {stamp!r}")
    contents = {
        "json": report_as_json(report),
        "md": encodable(render_markdown(report, metrics)).encode(),
    }
    output_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix, content in contents.items():
        path = output_dir / f"evaluation_report_{stamp}.{suffix}"
        write_atomically(path, content)
        paths.append(path)
    return paths[0], paths[1]


def write_atomically(path: Path, content: bytes) -> None:
    """Put the content on disk (fsync) under a name of its own, then in the place of ``path``.

    Raises:
        OSError: it can't be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
