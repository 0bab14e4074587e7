"""Decides whether a run of a series is worse than another one: ``--fail-if-worse`` of series, sweeps and watches."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.report.compare.comparison import ROUNDING
from scheduler.report.series.differences import differences, previous_run
from scheduler.report.series.model import Gate, Series, SeriesRun
from scheduler.statistics.paired import paired_test

BEST = "best"
PREVIOUS = "previous"


@dataclass(frozen=True)
class GateRule:
    """``run`` (default: the last of the series) may not be worse by more than ``by`` than the run ``against``: the
    ``previous`` one, the ``best`` of all others, or the one with this title or id.
    """

    by: float
    against: str = PREVIOUS
    run: str | None = None


def judge(series: Series, rule: GateRule) -> Gate:
    """Return what the rule says of the series. Raises ``ValueError``: the series lacks a run that the rule names."""
    run = len(series.runs) - 1 if rule.run is None else _number(series, rule.run)
    other = _other(series, rule.against, run)
    if other is None:
        return Gate(
            by=rule.by,
            against=rule.against,
            run=run,
            other=None,
            num_pairs=0,
            mean_difference=None,
            ci95=None,
            worse=False,
            reason="there is no other run to compare it with",
        )
    test = paired_test(differences(_scores(series, other), _scores(series, run)))
    interval = test.interval(max(1, series.num_comparisons) if rule.against == BEST else 1)
    reason = None
    if not (series.runs[run].judged_alike and series.runs[other].judged_alike):
        reason = "they were not judged alike"
    elif interval is None:
        reason = "fewer than two pairs have a score in both"
    return Gate(
        by=rule.by,
        against=rule.against,
        run=run,
        other=other,
        num_pairs=test.num_pairs,
        mean_difference=test.mean_difference,
        ci95=interval,
        worse=None if reason is not None or interval is None else interval[1] < -rule.by - ROUNDING,
        reason=reason,
    )


def _other(series: Series, against: str, run: int) -> int | None:
    if against == PREVIOUS:
        return previous_run([one.training for one in series.runs], [one.judged_alike for one in series.runs], run)
    if against == BEST:
        return next((number for number in series.ranking if number != run and series.runs[number].ranked), None)
    return _number(series, against)


def _number(series: Series, name: str) -> int:
    """The run with this id or title."""
    found = [number for number, run in enumerate(series.runs) if name in _names(run)]
    if len(found) != 1:
        problem = "several runs" if found else "no run"
        raise ValueError(f"the series has {problem} called {name!r}: it has {', '.join(map(_called, series.runs))}")
    return found[0]


def _names(run: SeriesRun) -> tuple[str, str]:
    return run.run, run.title


def _called(run: SeriesRun) -> str:
    return f"{run.title} ({run.run})" if run.title != run.run else run.run


def _scores(series: Series, number: int) -> list[float | None]:
    return [pair.scores[number] for pair in series.pairs]
