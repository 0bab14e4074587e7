"""What a comparison says beside its numbers, in words; the same in the terminal and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from scheduler.report.compare.comparison import GroupComparison, Key
from scheduler.report.compare.result import Against, Compared, Result
from scheduler.report.figures import NOTHING, interval_text, score_text

FIRST = 5
"""So many pairs are named; the JSON has them all."""

Show = Callable[[object, int], str]
"""Makes a text from data safe where it is shown, and shortens it."""


def run_words(one: Compared, show: Show) -> str:
    """``A: outputs/runs/20261121_091500: COMPLETE, 15 of 15 pairs scored``."""
    overall = one.report.overall
    scored = f"{overall.num_samples} of {overall.num_pairs} pairs scored"
    running = ", still running" if one.running else ""
    return f"{one.label}: {show(one.run.path, 500)}: {one.report.status}, {scored}{running}"


def note_words(result: Result, show: Show) -> Iterator[str]:
    """What a reader has to know first."""
    for one in result.runs:
        yield from (f"{one.label}: {show(note, 1000)}" for note in one.report.notes)
    for against in result.against:
        if unlike := against.comparison.unlike:
            named = [f"{_key(pair.key, show)} ({', '.join(pair.what)})" for pair in unlike[:FIRST]]
            yield (
                f"NOT COMPARABLE: {_pairs(len(unlike))} {_has(len(unlike))} another source image or instruction in "
                f"{against.other.label} than in {result.first.label}: {_named(named, len(unlike))}"
            )


def left_out_words(result: Result, against: Against, show: Show) -> Iterator[str]:
    """Which pairs do not count, and why."""
    comparison, first, other = against.comparison, result.first.label, against.other.label
    if unscored := comparison.unscored:
        kinds = Counter((pair.first, pair.other) for pair in unscored)
        why = "; ".join(f"{count}: {first} {one}, {other} {two}" for (one, two), count in kinds.most_common())
        named = [_key(pair.key, show) for pair in unscored[:FIRST]]
        left_out = f"{_pairs(len(unscored))} without a score in {first} or {other} {_is(len(unscored))} left out"
        yield f"{left_out} ({why}): {_named(named, len(unscored))}"
    for label, keys in ((first, comparison.only_first), (other, comparison.only_other)):
        if keys:
            yield f"{_pairs(len(keys))} {_is(len(keys))} in {label} alone: {_keys(keys, show)}"


def setting_words(against: Against, show: Show) -> list[str]:
    """The settings that differ."""
    return [show(line, 300) for line in against.settings] or ["no setting differs that decides results"]


def verdict_words(result: Result) -> Iterator[str]:
    """How it ends, for each run."""
    first = result.first.label
    for against in result.against:
        difference, label = against.comparison.overall.difference, against.other.label
        if difference.mean_difference is None:
            yield f"{label} can't be compared with {first}: no pair has a score in both"
            continue
        mean = signed_text(difference.mean_difference)
        text = f"{label} against {first}, {_pairs(difference.num_pairs)}: mean difference {mean}"
        if difference.ci95 is not None:
            text += f", 95% interval {interval_text(difference.ci95)}"
        if against in result.worse:
            text += f". WORSE by more than {result.limit:g}"
        yield text


def headings(first: str, other: str) -> list[str]:
    """Of the table's columns."""
    return ["Category", "Pairs", first, other, "Difference", "95% CI", "Better", "Same", "Worse", "Sign Test p"]


def cells(group: GroupComparison) -> list[str]:
    """A row of the table, but for its name."""
    difference = group.difference
    return [
        str(difference.num_pairs),
        score_text(group.first_mean),
        score_text(group.other_mean),
        signed_text(difference.mean_difference),
        interval_text(difference.ci95),
        str(difference.wins),
        str(difference.ties),
        str(difference.losses),
        _p_text(difference.sign_test_p),
    ]


def signed_text(value: float | None) -> str:
    """A difference: with a plus if it is one."""
    return f"+{score_text(value)}" if value is not None and value > 0 else score_text(value)


def _p_text(p: float | None) -> str:
    if p is None:
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _pairs(count: int) -> str:
    return f"{count} pair" if count == 1 else f"{count} pairs"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _key(key: Key, show: Show) -> str:
    return f"{show(key.category, 60)}/{show(key.pair_id, 100)}"


def _keys(keys: Sequence[Key], show: Show) -> str:
    return _named([_key(key, show) for key in keys[:FIRST]], len(keys))


def _named(named: Sequence[str], count: int) -> str:
    more = count - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
