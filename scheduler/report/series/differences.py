"""Compares every two runs of a series that were judged alike, over the pairs that have a score in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from scheduler.report.compare.comparison import score_difference
from scheduler.report.series.model import Change, ChangedPair, RunDifference
from scheduler.report.series.results import PairKey
from scheduler.statistics.paired import PairedTest, holm, paired_test

Scores = Sequence[float | None]
"""The scores of a run, in the same order of pairs for all runs."""

MOST_CHANGED = 20
"""Pairs that a change names, each of the worse and of the better ones."""


@dataclass(frozen=True)
class Comparisons:
    """The test of each run against each earlier one, by their numbers, with its p value corrected for all of them. Runs
    that were not judged like most are in none.
    """

    tests: Mapping[tuple[int, int], PairedTest]
    corrected: Mapping[tuple[int, int], float]

    @classmethod
    def of(cls, runs: Sequence[Scores], alike: Sequence[bool]) -> Comparisons:
        tests = {
            (later, earlier): paired_test(differences(runs[earlier], runs[later]))
            for earlier, later in combinations(range(len(runs)), 2)
            if alike[earlier] and alike[later]
        }
        p_values = {numbers: test.p for numbers, test in tests.items() if test.p is not None}
        return cls(tests, dict(zip(p_values, holm(list(p_values.values())), strict=True)))

    @property
    def count(self) -> int:
        """The comparisons that the correction is for."""
        return len(self.corrected)

    def between(self, run: int, other: int | None) -> RunDifference | None:
        """Return ``run`` compared with ``other``; None without another run, or if they were not judged alike."""
        if other is None:
            return None
        numbers, sign = (max(run, other), min(run, other)), 1 if run > other else -1
        test = self.tests.get(numbers)
        if test is None:
            return None
        mean = test.mean_difference
        return RunDifference(
            run=other,
            num_pairs=test.num_pairs,
            mean_difference=None if mean is None else sign * mean + 0.0,
            ci95=_signed(test.interval(), sign),
            p=test.p,
            ci95_series=_signed(test.interval(max(1, self.count)), sign),
            p_series=self.corrected.get(numbers),
            wins=test.wins if sign > 0 else test.losses,
            ties=test.ties,
            losses=test.losses if sign > 0 else test.wins,
        )


def previous_run(trainings: Sequence[str | None], alike: Sequence[bool], run: int) -> int | None:
    """Return the number of the run before this one in its training, or of the last run that is of no training; None if
    there is none. Runs that were not judged like most are passed over. Both lists are of all runs, in their order.
    """
    before = range(run - 1, -1, -1)
    return next((one for one in before if alike[one] and trainings[one] in (trainings[run], None)), None)


def changes(
    keys: Sequence[PairKey],
    runs: Sequence[Scores],
    comparisons: Comparisons,
    *,
    by_step: bool,
    best: int | None,
    previous: int | None,
    ranking: Sequence[int],
) -> tuple[Change, ...]:
    """Return what changed to the last run from the first, the best and the one before it; in a leaderboard, to the best
    from the second best. Runs that were not judged alike are left out.
    """
    last = len(runs) - 1
    if by_step:
        wanted = [(0, last), (best, last), (previous, last)]
    else:
        wanted = [(ranking[1], ranking[0])] if len(runs) > 1 else []
    pairs = dict.fromkeys((earlier, later) for earlier, later in wanted if earlier is not None)
    return tuple(
        _change(keys, runs, earlier, later)
        for earlier, later in pairs
        if (max(earlier, later), min(earlier, later)) in comparisons.tests
    )


def _change(keys: Sequence[PairKey], runs: Sequence[Scores], earlier: int, later: int) -> Change:
    changed = [
        (score_difference(before, now), key)
        for key, before, now in zip(keys, runs[earlier], runs[later], strict=True)
        if before is not None and now is not None
    ]
    changed.sort(key=lambda one: one[0])
    worse = [one for one in changed[:MOST_CHANGED] if one[0] < 0]
    better = [one for one in changed[: -MOST_CHANGED - 1 : -1] if one[0] > 0]
    return Change(earlier=earlier, later=later, worse=tuple(map(_changed, worse)), better=tuple(map(_changed, better)))


def _changed(changed: tuple[float, PairKey]) -> ChangedPair:
    difference, (category, pair_id) = changed
    return ChangedPair(category=category, pair_id=pair_id, difference=difference)


def differences(earlier: Scores, later: Scores) -> list[float]:
    """Return later minus earlier score of each pair that has both."""
    both = zip(earlier, later, strict=True)
    return [score_difference(before, now) for before, now in both if before is not None and now is not None]


def _signed(interval: tuple[float, float] | None, sign: int) -> tuple[float, float] | None:
    if interval is None or sign > 0:
        return interval
    return -interval[1], -interval[0]
