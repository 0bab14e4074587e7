"""The plots of a series, as PNG and SVG: the score, the categories, the dimensions and the official numbers, against
the step of the checkpoint; without steps, beside each other.

The same series gives the same bytes with the same version of matplotlib and the same fonts. The background is white, so
that a plot can be read on light and dark pages. The colours are those of Okabe and Ito, which people with any colour
vision can tell apart; lines also have different markers.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

from scheduler.base.text import one_line
from scheduler.report.official_text import main_numbers
from scheduler.report.series.model import Series
from scheduler.statistics.describe import Interval

log = logging.getLogger("warmbench")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
_GREY = "#595959"
_PANELS_IN_A_ROW = 3
_MOST_PANELS = 24
_MOST_BARS = 40
_LONGEST_NAME = 40
_DPI = 144
_LARGEST = 1e100
_NOT_ALIKE = "not judged like most runs"
_STYLE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _GREY,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "warmbench",
    "text.parse_math": False,  # names come from data
}
_CHINESE = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "PingFang SC", "SimHei")


@dataclass(frozen=True)
class Panel:
    """One value of each run, with its interval."""

    title: str
    values: Sequence[float | None]
    intervals: Sequence[Interval | None]

    def can_be_drawn(self) -> bool:
        """Whether there is a value, and none that has no place on paper."""
        ends = [end for interval in self.intervals if interval is not None for end in interval]
        values = [value for value in self.values if value is not None]
        return bool(values) and all(abs(value) < _LARGEST for value in (*values, *ends))


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot_files(series: Series) -> dict[str, bytes]:
    """Return the plots by the names of their files. One that matplotlib cannot draw is left out, with a warning."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no line for each font that is not there
    files = {}
    for name, panels in plots(series).items():
        try:
            for kind in ("png", "svg"):
                files[f"{name}.{kind}"] = _render(series, panels, kind, same_scale=name == "categories")
        except Exception as error:  # noqa: BLE001 - fonts, caches and values may be anything; all else is written
            log.warning("The plot %s is left out: %s: %s", name, type(error).__name__, one_line(str(error), 200))
    return files


def plots(series: Series) -> dict[str, list[Panel]]:
    """Return the panels of each plot, without those that have no value."""
    found = {
        "score": [
            Panel("Mean score, 95% interval", [run.mean for run in series.runs], [run.ci95 for run in series.runs])
        ],
        "categories": list(_groups(series, "categories", series.categories)),
        "dimensions": list(_groups(series, "dimensions", tuple(series.dimensions))),
        "official": list(_official(series)),
    }
    kept = {name: [panel for panel in panels if panel.can_be_drawn()][:_MOST_PANELS] for name, panels in found.items()}
    return {name: panels for name, panels in kept.items() if panels}


def _groups(series: Series, field: str, names: Sequence[str]) -> Iterator[Panel]:
    for name in names:
        groups = [getattr(run, field).get(name) for run in series.runs]
        scale = series.dimensions.get(name) if field == "dimensions" else None
        title = f"{name}, lower is better" if scale is not None and scale.better == "lower" else name
        yield Panel(title, [group and group.mean for group in groups], [group and group.ci95 for group in groups])


def _official(series: Series) -> Iterator[Panel]:
    blocks = [run.official for run in series.runs]
    names = dict.fromkeys(name for block in blocks if block for name in block.numbers)
    for name in main_numbers(series.main, names):
        values = [block.numbers.get(name) if block else None for block in blocks]
        yield Panel(name, values, [block.intervals.get(name) if block else None for block in blocks])


def _render(series: Series, panels: Sequence[Panel], kind: str, *, same_scale: bool) -> bytes:
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context({**_STYLE, "font.family": _fonts()}):
        figure = _figure(series, panels, same_scale=same_scale)
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(content, format=kind, dpi=_DPI, metadata=metadata)
    return content.getvalue()


def _fonts() -> list[str]:
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _CHINESE if name in known)]


def _figure(series: Series, panels: Sequence[Panel], *, same_scale: bool) -> Any:
    from matplotlib.figure import Figure

    columns = min(_PANELS_IN_A_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    shown = list(series.ranking)[:_MOST_BARS]
    height = (4.2 if columns == 1 else 3.2) if series.by_step else 0.9 + 0.28 * len(shown)
    width = 8.0 if columns == 1 else 4.2 * columns
    figure: Any = Figure(figsize=(width, height * rows), layout="constrained")
    along, beside = same_scale and series.by_step, same_scale and not series.by_step
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=along, sharex=beside).flat)
    for number, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
        axis.set_title(one_line(panel.title, _LONGEST_NAME), loc="left")
        if series.by_step:
            _lines(axis, series, panel)
        else:
            _bars(axis, series, panel, shown, named=number % columns == 0)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    legend = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    if len(legend) > 1:
        figure.legend(legend.values(), legend, loc="outside lower center", ncols=min(3, len(legend)))
    return figure


def _lines(axis: Any, series: Series, panel: Panel) -> None:
    """A line for each training, and a level for each run without a step."""
    trainings = dict.fromkeys(run.training for run in series.runs if run.step is not None)
    for number, training in enumerate(trainings):
        points = [
            _Point(run.step, value, interval, run.judged_alike)
            for run, value, interval in zip(series.runs, panel.values, panel.intervals, strict=True)
            if run.step is not None and run.training == training and value is not None
        ]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        steps, values = [point.step for point in points], [point.value for point in points]
        look = {"color": colour, "marker": marker, "linewidth": 1.6, "elinewidth": 1.2, "capsize": 2.5}
        axis.errorbar(steps, values, yerr=_margins(points), label=_training_name(training), **look)
        hollow = [point for point in points if not point.alike]
        axis.plot(
            [point.step for point in hollow],
            [point.value for point in hollow],
            marker=marker,
            markerfacecolor="white",
            markeredgecolor=colour,
            linestyle="",
            zorder=3,
            label=_NOT_ALIKE if hollow else None,
        )
    for run, value in zip(series.runs, panel.values, strict=True):
        if run.step is None and value is not None:
            axis.axhline(value, color=_GREY, linestyle="--", linewidth=1.2, label=one_line(run.title, _LONGEST_NAME))
    axis.set_xlabel("Step")


def _training_name(training: str | None) -> str:
    """The last two folders of its path."""
    return one_line("/".join((training or "").split("/")[-2:]), _LONGEST_NAME)


def _bars(axis: Any, series: Series, panel: Panel, shown: Sequence[int], *, named: bool) -> None:
    """A bar for each run, the best of the series on top."""
    points = [
        _Point(place, value, panel.intervals[number], series.runs[number].judged_alike)
        for place, number in enumerate(shown)
        if (value := panel.values[number]) is not None
    ]
    places, values = [point.step for point in points], [point.value for point in points]
    faces = [COLOURS[0] if point.alike else "white" for point in points]
    axis.barh(places, values, height=0.62, color=faces, edgecolor=COLOURS[0])
    axis.errorbar(values, places, xerr=_margins(points), color="black", linestyle="", elinewidth=1.2, capsize=2.5)
    titles = [one_line(series.runs[number].title, _LONGEST_NAME) if named else "" for number in shown]
    axis.set_yticks(range(len(shown)), titles)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")


class _Point(NamedTuple):
    """``step`` may be a place in a list. A run that was not judged ``alike`` is drawn hollow."""

    step: int
    value: float
    interval: Interval | None
    alike: bool


def _margins(points: Sequence[_Point]) -> list[list[float]]:
    """How far the intervals reach below and above the values; that of a bootstrap may lie beside its value."""
    ends = [point.interval or (math.nan, math.nan) for point in points]
    both = [(point.value, low, high) for point, (low, high) in zip(points, ends, strict=True)]
    return [
        [math.nan if math.isnan(low) else max(0.0, value - low) for value, low, _ in both],
        [math.nan if math.isnan(high) else max(0.0, high - value) for value, _, high in both],
    ]
