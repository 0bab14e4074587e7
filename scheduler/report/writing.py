"""Writes the reports atomically: a reader finds no file, the previous one, or the complete new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scheduler.base.files import write_atomically
from scheduler.base.text import encodable, one_line
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.run_page import render_gallery
from scheduler.report.json_form import to_json
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Report
from scheduler.report.pairs_csv import pairs_csv


class UnwrittenError(OSError):
    """Some files could not be written; the message has each with its reason. ``written`` are the others."""

    def __init__(self, problems: Sequence[str], written: list[Path]) -> None:
        super().__init__("; ".join(problems))
        self.written = written


def write_reports(report: Report, output_dir: Path, run_folder: Path, metrics: Sequence[str]) -> list[Path]:
    """Write ``evaluation_report_<stamp>.json``, ``.md`` and ``.html`` into ``output_dir`` and ``pairs.csv`` into the
    run's folder, whose name is the stamp; return their paths.

    Reports of the same stamp are replaced; a missing ``output_dir`` is created.

    Raises:
        ValueError: the stamp cannot be part of a file name, or a metric is unknown. Nothing was written.
        UnwrittenError: a report cannot be written. All others are written, and no incomplete file is left.
    """
    stamp = run_folder.name
    if not stamp or stamp != one_line(stamp) or set("/\\") & set(stamp):
        raise ValueError(f"the stamp of a report has to be a plain name, not {stamp!r}")
    markdown = encodable(render_markdown(report, metrics)).encode()
    # One at a time: for 100,000 pairs each has 100 MB.
    forms: dict[Path, Callable[[], bytes]] = {
        output_dir / f"evaluation_report_{stamp}.json": lambda: to_json(report),
        output_dir / f"evaluation_report_{stamp}.md": lambda: markdown,
        output_dir / f"evaluation_report_{stamp}.html": lambda: render_gallery(
            report, Pictures(run_folder, output_dir), metrics, stamp
        ),
        run_folder / "pairs.csv": lambda: pairs_csv(report),
    }
    return write_files(forms)


def write_files(forms: Mapping[Path, Callable[[], bytes]]) -> list[Path]:
    """Write each file, into a folder that is made if it is missing, and return the paths; raises ``UnwrittenError``."""
    written: list[Path] = []
    problems: list[str] = []
    for path, form in forms.items():
        content = form()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content, sync_folder=True)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        else:
            written.append(path)
    if problems:
        raise UnwrittenError(problems, written)
    return written
