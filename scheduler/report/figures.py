"""Formats scores and statistics for people, the same way in the terminal and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scheduler.base.text import counted
from scheduler.report.model import Overall, Report
from scheduler.statistics.describe import ScoreStatistics
from scheduler.store.results import Failure

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
    return f"{value + 0.0:.2f}"  # of -0 without its sign


def interval_text(interval: tuple[float, float] | None) -> str:
    """``[low, high]``, both ends with the same number of decimals: those of the end that is farther from 0."""
    if interval is None:
        return NOTHING
    largest = max(map(abs, interval))
    if largest >= 1e6:
        return f"[{score_text(interval[0])}, {score_text(interval[1])}]"
    decimals = 2 if largest >= 0.01 or largest == 0 else 2 - math.floor(math.log10(largest))
    # Adding 0 makes 0 of -0, which small negative ends are rounded to.
    low, high = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in interval)
    return f"[{low}, {high}]"


def shortfall_text(overall: Overall) -> str:
    """Why a report is incomplete: ``8 of 14 pairs failed, 1 is not done yet``."""
    pairs = counted(overall.num_pairs, "pair")
    reasons = [f"{overall.num_failed} of {pairs} failed"] if overall.num_failed else []
    if missing := overall.num_missing:
        which = str(missing) if reasons else f"{missing} of {pairs}"
        reasons.append(f"{which} {'is' if missing == 1 else 'are'} not done yet")
    return ", ".join(reasons) or "there are no pairs"


def failure_place(failure: Failure) -> str:
    """The stage that failed, and the question: ``score, question look``."""
    return failure.stage if failure.question is None else f"{failure.stage}, question {failure.question}"


def averages_line(report: Report) -> list[str]:
    """Micro and macro average on one line; no line without scores."""
    if report.overall.macro_mean is None:
        return []
    micro, macro = score_text(report.overall.mean), score_text(report.overall.macro_mean)
    return [f"Micro average (mean over pairs): {micro}, macro average (mean of category means): {macro}"]
