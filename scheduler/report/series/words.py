"""The texts of a series: its table, and what a reader must know beside it; the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from scheduler.base.text import counted, format_duration
from scheduler.report.compare.words import signed_text
from scheduler.report.figures import NOTHING, interval_text, score_text
from scheduler.report.official_text import number_text
from scheduler.report.series.gate import BEST, PREVIOUS
from scheduler.report.series.model import Gate, RunDifference, Series, SeriesRun

Show = Callable[[object, int], str]
"""Makes a text from data safe for where it is shown, and shortens it."""

MAX_SETTINGS = 6
"""Settings of one run that are named; the JSON has all of them."""


def headings(series: Series, show: Show) -> list[str]:
    """The headings of the table's columns."""
    steps = ["Step"] if series.by_step else []
    main = [show(series.main, 40)] if series.main is not None else []
    previous = ["Against Previous", "p"] if series.by_step else []
    return ["Run", *steps, "Pairs", "Mean", "95% CI", *main, "Against Best", "p", *previous, "Time"]


def rows(series: Series, show: Show) -> list[list[str]]:
    """The rows of the table, the best run first."""
    return [_row(series, series.runs[number], show) for number in series.ranking]


def _row(series: Series, run: SeriesRun, show: Show) -> list[str]:
    cells = [show(run.title, 60)]
    if series.by_step:
        cells.append(NOTHING if run.step is None else str(run.step))
    cells += [_pairs(run), score_text(run.mean), interval_text(run.ci95)]
    if series.main is not None:
        cells.append(number_text(run.official.numbers.get(series.main) if run.official else None))
    is_best = run.ranked and run.best is None
    cells += ["best", ""] if is_best else _difference(run.best)
    if series.by_step:
        cells += _difference(run.previous)
    return [*cells, NOTHING if run.cost.seconds is None else format_duration(run.cost.seconds)]


def _pairs(run: SeriesRun) -> str:
    failed = f", {run.num_failed} failed" if run.num_failed else ""
    return f"{run.num_scored}/{run.num_pairs}{failed}"


def _difference(difference: RunDifference | None) -> list[str]:
    """The mean difference with its interval, and the p value, both corrected."""
    if difference is None or difference.mean_difference is None:
        return [NOTHING, NOTHING]
    return [
        f"{signed_text(difference.mean_difference)} {interval_text(difference.ci95_series)}",
        p_text(difference.p_series),
    ]


def p_text(p: float | None) -> str:
    """A p value with three decimals."""
    if p is None:
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def legend_line(series: Series) -> str:
    """What the intervals and p values of the table are."""
    return (
        "Differences are paired. Their 95% intervals and p values are corrected for all "
        f"{counted(series.num_comparisons, 'comparison')} of two runs (Bonferroni, Holm)."
    )


def note_lines(series: Series, show: Show) -> Iterator[str]:
    """What keeps runs from being compared, by name, and what is left out."""
    for run in series.runs:
        title = show(run.title, 60)
        decisive = [one for one in run.settings if one.kind in ("protocol", "judge", "prompts")]
        if decisive:
            names = ", ".join(f"{show(one.name, 60)} {show(one.value, 60)}" for one in decisive[:MAX_SETTINGS])
            yield f"{title} was not judged like most runs, and cannot be compared with them: {names}{_more(decisive)}"
        if run.num_other:
            pairs = f"{counted(run.num_other, 'pair')} of {title}"
            verb = "has" if run.num_other == 1 else "have"
            yield f"{pairs} {verb} another source image or instruction than in most runs: left out of differences"
        if not run.ranked and run.judged_alike:
            yield f"{title} is not ranked: it has scores for {run.num_scored} of {counted(run.num_pairs, 'pair')}"


def setting_lines(series: Series, show: Show) -> Iterator[str]:
    """The other settings in which runs differ from most."""
    for run in series.runs:
        others = [one for one in run.settings if one.kind not in ("protocol", "judge", "prompts")]
        if others:
            changed = (f"{show(one.name, 60)} {show(one.value, 60)} (usual: {show(one.usual, 60)})" for one in others)
            yield f"{show(run.title, 60)}: {', '.join(list(changed)[:MAX_SETTINGS])}{_more(others)}"


def gate_line(series: Series, gate: Gate, show: Show) -> str:
    """What the gate found: ``checkpoint-600 against checkpoint-500 (previous): WORSE by more than 0.1: ...``."""
    run = show(series.runs[gate.run].title, 60)
    if gate.other is None:
        return f"{run} passes: {gate.reason}"
    how = f" ({gate.against})" if gate.against in (BEST, PREVIOUS) else ""
    names = f"{run} against {show(series.runs[gate.other].title, 60)}{how}"
    if gate.worse is None:
        return f"{names}: can't be told: {gate.reason}"
    verdict = "WORSE" if gate.worse else "not shown to be worse"
    corrected = ", corrected for all comparisons" if gate.against == BEST else ""
    return (
        f"{names}: {verdict} by more than {gate.by:g}: mean difference {signed_text(gate.mean_difference)} over "
        f"{counted(gate.num_pairs, 'pair')}, 95% interval {interval_text(gate.ci95)}{corrected}"
    )


def _more(settings: Sequence[object]) -> str:
    more = len(settings) - MAX_SETTINGS
    return f" and {more} more" if more > 0 else ""
