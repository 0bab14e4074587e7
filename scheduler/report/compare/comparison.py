"""Two runs against each other, pair by pair. Decided from their reports alone, without files.

Pairs are matched by category and id. A pair counts if both runs have a score for it and both had the same source image
and instruction; all others are told and counted by what keeps them out. A score that is missing is no zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.report import Report
from scheduler.statistics.describe import PairedDifference, describe_differences, mean
from scheduler.store.results import PairResult

_ROUNDING = 1e-9
"""Scores of 7.0 and 6.8 differ by a bit more than 0.2, as floats are."""


class Key(NamedTuple):
    """What a pair is called."""

    category: str
    pair_id: str


@dataclass(frozen=True, slots=True)
class PairDifference:
    """A pair that counts: its scores in the first run and in the other, ``difference`` = other - first."""

    key: Key
    first: float
    other: float

    @property
    def difference(self) -> float:
        return self.other - self.first


@dataclass(frozen=True, slots=True)
class Unlike:
    """A name that means another pair in each run: another ``source`` image, another ``instruction``, or both."""

    key: Key
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unscored:
    """A pair that has no score in one of the runs or in both: its status in each."""

    key: Key
    first: str
    other: str


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """The pairs that count, of one category or of all; the means are over these alone, null if there are none."""

    first_mean: float | None
    other_mean: float | None
    difference: PairedDifference


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against the first. Categories and pairs are in the first run's order."""

    overall: GroupComparison
    categories: Mapping[str, GroupComparison]
    pairs: tuple[PairDifference, ...]
    unlike: tuple[Unlike, ...]
    unscored: tuple[Unscored, ...]
    only_first: tuple[Key, ...]
    only_other: tuple[Key, ...]

    def is_worse(self, by: float) -> bool | None:
        """Whether the mean difference, as estimated, is below ``-by``; None if no pair counts."""
        found = self.overall.difference.mean_difference
        return None if found is None else found < -by - _ROUNDING


def compare(first: Report, other: Report) -> Comparison:
    """Compare a run with the first one."""
    before, now = _by_key(first), _by_key(other)
    counted: list[PairDifference] = []
    unlike: list[Unlike] = []
    unscored: list[Unscored] = []
    for key, one in before.items():
        two = now.get(key)
        if two is None:
            continue
        if what := _what_differs(one, two):
            unlike.append(Unlike(key, what))
        elif one.score is None or two.score is None:
            unscored.append(Unscored(key, one.status, two.status))
        else:
            counted.append(PairDifference(key, one.score, two.score))
    members: dict[str, list[PairDifference]] = {}
    for pair in counted:
        members.setdefault(pair.key.category, []).append(pair)
    return Comparison(
        overall=_group(counted),
        categories={category: _group(pairs) for category, pairs in members.items()},
        pairs=tuple(counted),
        unlike=tuple(unlike),
        unscored=tuple(unscored),
        only_first=tuple(key for key in before if key not in now),
        only_other=tuple(key for key in now if key not in before),
    )


def _by_key(report: Report) -> dict[Key, PairResult]:
    return {Key(pair.category, pair.pair_id): pair for pair in report.pairs}


def _what_differs(one: PairResult, two: PairResult) -> tuple[str, ...]:
    if None in (one.source_sha256, two.source_sha256) and None in (one.score, two.score):
        return ()  # it failed to load in one of them: that is why it does not count
    found = {
        "source": one.source_sha256 != two.source_sha256,
        "instruction": one.instruction != two.instruction,
    }
    return tuple(what for what, differs in found.items() if differs)


def _group(pairs: Sequence[PairDifference]) -> GroupComparison:
    return GroupComparison(
        first_mean=mean([pair.first for pair in pairs]) if pairs else None,
        other_mean=mean([pair.other for pair in pairs]) if pairs else None,
        difference=describe_differences([pair.difference for pair in pairs]),
    )
