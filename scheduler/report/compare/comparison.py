"""Compares two runs, pair by pair, from their reports alone.

Pairs are matched by category and id. A pair counts if both runs have a score for it, and the same source image and
instruction. All others are listed by the reason why they do not count; a missing score is never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import structs

from scheduler.report.compare.comparison_report import (
    Comparison,
    GroupComparison,
    NotComparable,
    PairKey,
    ScoredPair,
    WithoutScore,
)
from scheduler.report.compare.official_comparison import compare_official
from scheduler.report.model import Report
from scheduler.statistics.describe import describe_differences, mean
from scheduler.store.results import PairResult

ROUNDING = 1e-9
"""Differences below this are rounding: as floats, scores of 7.0 and 6.8 differ by slightly more than 0.2."""


def compare(
    first: Report,
    other: Report,
    *,
    labels: tuple[str, str] = ("A", "B"),
    settings: Sequence[str] = (),
    fail_if_worse: float | None = None,
) -> Comparison:
    """Compare a run with the first one."""
    first_pairs, other_pairs = _by_key(first), _by_key(other)
    scored: list[ScoredPair] = []
    both: list[tuple[PairResult, PairResult]] = []
    not_comparable: list[NotComparable] = []
    without_score: list[WithoutScore] = []
    for key, pair in first_pairs.items():
        other_pair = other_pairs.get(key)
        if other_pair is None:
            continue
        if differs := _differences(pair, other_pair):
            not_comparable.append(NotComparable(*key, differs))
        elif pair.score is None or other_pair.score is None:
            without_score.append(WithoutScore(*key, pair.status, other_pair.status))
        else:
            scored.append(
                ScoredPair(*key, pair.score, other_pair.score, score_difference(pair.score, other_pair.score))
            )
            both.append((pair, other_pair))
    members: dict[str, list[ScoredPair]] = {}
    for scored_pair in scored:
        members.setdefault(scored_pair.category, []).append(scored_pair)
    overall = _group(scored)
    return Comparison(
        first=labels[0],
        other=labels[1],
        worse=is_worse(overall, fail_if_worse),
        settings=tuple(settings),
        overall=overall,
        categories={category: _group(pairs) for category, pairs in members.items()},
        dimensions=_dimensions(both),
        official=compare_official(first, other, both, labels),
        not_comparable=tuple(not_comparable),
        without_score=tuple(without_score),
        only_in_first=tuple(PairKey(*key) for key in first_pairs if key not in other_pairs),
        only_in_other=tuple(PairKey(*key) for key in other_pairs if key not in first_pairs),
        pairs=tuple(scored),
    )


def is_worse(overall: GroupComparison, by: float | None) -> bool | None:
    """Whether the mean difference, as estimated, is below ``-by``; None without a limit, or if no pair counts."""
    difference = overall.mean_difference
    return None if by is None or difference is None else difference < -by - ROUNDING


def score_difference(first: float, other: float) -> float:
    """Return the difference, exactly 0 where it is only rounding: a protocol's score may be a weighted sum."""
    difference = other - first
    return 0.0 if abs(difference) < ROUNDING else difference


def _by_key(report: Report) -> dict[tuple[str, str], PairResult]:
    return {(pair.category, pair.pair_id): pair for pair in report.pairs}


def _differences(first: PairResult, other: PairResult) -> tuple[Literal["source", "instruction"], ...]:
    if None in (first.source_sha256, other.source_sha256) and None in (first.score, other.score):
        return ()  # it failed to load in one of the runs, and counts as without a score
    differs: list[Literal["source", "instruction"]] = []
    if first.source_sha256 != other.source_sha256:
        differs.append("source")
    if first.instruction != other.instruction:
        differs.append("instruction")
    return tuple(differs)


def _group(pairs: Sequence[ScoredPair]) -> GroupComparison:
    return _compared([(pair.first, pair.other) for pair in pairs])


def _dimensions(both: Sequence[tuple[PairResult, PairResult]]) -> dict[str, GroupComparison]:
    """Each dimension that both runs have."""
    values: dict[str, list[tuple[float, float]]] = {}
    for first, other in both:
        for name, value in (first.dimensions or {}).items():
            other_value = (other.dimensions or {}).get(name)
            if value is not None and other_value is not None:
                values.setdefault(name, []).append((value, other_value))
    return {name: _compared(of_pairs) for name, of_pairs in values.items()}


def _compared(values: Sequence[tuple[float, float]]) -> GroupComparison:
    return GroupComparison(
        **structs.asdict(describe_differences([score_difference(first, other) for first, other in values])),
        first_mean=mean([first for first, _ in values]) if values else None,
        other_mean=mean([other for _, other in values]) if values else None,
    )
