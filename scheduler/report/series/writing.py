"""Writes the files of a series into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec import structs

from scheduler.report.gallery.series_page import render_series
from scheduler.report.json_form import to_json
from scheduler.report.series.build import build_series
from scheduler.report.series.gate import GateRule, judge
from scheduler.report.series.model import Series
from scheduler.report.series.plots import can_plot, plot_files
from scheduler.report.series.results import read_results
from scheduler.report.series.tables_csv import pairs_csv, series_csv
from scheduler.report.writing import write_files


@dataclass(frozen=True)
class WrittenSeries:
    """A series and its files."""

    series: Series
    paths: tuple[Path, ...]


def write_series(runs: Sequence[Path], to: Path, rule: GateRule | None = None, *, plots: bool = True) -> WrittenSeries:
    """Read the runs in these directories and write their series into the folder ``to``, which is made if it is missing.
    With a ``rule`` the series has a gate. For ``plots``, see ``write_series_files``.

    Raises:
        ValueError: the runs cannot be compared, or the series lacks a run that the rule names.
        OSError: a ledger cannot be read.
        UnwrittenError: a file cannot be written. The others are.
    """
    series = read_series(runs, to, rule)
    return WrittenSeries(series, tuple(write_series_files(series, to, plots=plots)))


def read_series(runs: Sequence[Path], to: Path, rule: GateRule | None = None) -> Series:
    """Return the series of the runs in these directories, for files in the folder ``to``.

    Raises:
        ValueError: the runs cannot be compared, or the series lacks a run that the rule names.
        OSError: a ledger cannot be read.
    """
    series = build_series([read_results(run) for run in dict.fromkeys(runs)], to)
    return series if rule is None else structs.replace(series, gate=judge(series, rule))


def write_series_files(series: Series, to: Path, *, plots: bool = True) -> list[Path]:
    """Write the files of a series that was read for the folder ``to``, and return their paths.

    The ``plots``, which take seconds, are left out without matplotlib (extra ``plots``).

    Raises:
        UnwrittenError: a file cannot be written. The others are.
    """
    drawn = plot_files(series) if plots and can_plot() else {}
    forms: dict[str, Callable[[], bytes]] = {
        "series.json": lambda: to_json(series),
        "series.csv": lambda: series_csv(series),
        "pairs.csv": lambda: pairs_csv(series),
        **{name: partial(bytes, content) for name, content in drawn.items()},
    }
    others = tuple(forms)
    forms["series.html"] = lambda: render_series(series, to, others)
    return write_files({to / name: form for name, form in forms.items()})
