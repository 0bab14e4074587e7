"""Formats scores and statistics for people, the same way in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.report.model import Report
from scheduler.statistics.describe import ScoreStatistics

NOTHING = "—"
DEFAULT_METRICS = ("mean", "std", "median", "min", "max")
METRIC_LABELS = {"mean": "Mean", "std": "Std", "median": "Median", "min": "Min", "max": "Max", "ci95": "95% CI"}


def chosen_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the metrics in the given order without duplicates.

    Raises:
        ValueError: a metric is none of mean, std, median, min, max, ci95.
    """
    for metric in metrics:
        if metric not in METRIC_LABELS:
            raise ValueError(f"metrics: {metric!r} is none of {', '.join(METRIC_LABELS)}")
    return list(dict.fromkeys(metrics))


def metric_text(statistics: ScoreStatistics, metric: str) -> str:
    """One statistic as text."""
    if metric == "ci95":
        return interval_text(statistics.ci95)
    value: float | None = getattr(statistics, metric)
    return score_text(value)


def score_text(value: float | None) -> str:
    """Two decimals; three significant digits for very small and very large values; a dash for None."""
    if value is None:
        return NOTHING
    if value and not 0.01 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.2f}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """``[low, high]``."""
    return NOTHING if interval is None else f"[{score_text(interval[0])}, {score_text(interval[1])}]"


def averages_line(report: Report) -> list[str]:
    """Micro and macro average on one line; no line without scores."""
    if report.overall.macro_mean is None:
        return []
    micro, macro = score_text(report.overall.mean), score_text(report.overall.macro_mean)
    return [f"Micro average (mean over pairs): {micro}, macro average (mean of category means): {macro}"]
