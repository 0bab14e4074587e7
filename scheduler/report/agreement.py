"""The reward's scores beside those of people, pair by pair: how far the two put the pairs into the same order.

Several rows about a pair are averaged, and where people rated single samples, the reward's score of the pair is the
mean of these samples. A pair without a score by either side is left out, and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scheduler.report.model import Agreement, Disagreement, GroupAgreement, Raters
from scheduler.report.pairs_csv import cell_text
from scheduler.statistics.correlations import kendall, pearson, ranks, spearman
from scheduler.statistics.describe import mean
from scheduler.store.human_scores import HumanScore, HumanScores
from scheduler.store.results import PairResult

MOST_DISAGREEMENTS = 10
FEWEST_IN_COMMON = 4
"""Pairs that two raters must both have rated to be compared."""

MOST_RATERS = 50
"""More are not compared with each other."""


class _Both(NamedTuple):
    category: str
    pair_id: str
    score: float
    human: float


def agree(pairs: Sequence[PairResult], human: HumanScores, samples_per_pair: int) -> Agreement:
    """Compare the scores of these pairs with those that people gave."""
    find = _finder(pairs)
    rated: dict[tuple[str, str], list[HumanScore]] = {}
    unmatched: list[HumanScore] = []
    for row in human.rows:
        pair = find(row)
        if pair is None or (row.sample is not None and row.sample >= samples_per_pair):
            unmatched.append(row)
        else:
            rated.setdefault((pair.category, pair.pair_id), []).append(row)
    both: list[_Both] = []
    num_unscored = 0
    for pair in pairs:
        rows = rated.get((pair.category, pair.pair_id))
        if rows and pair.score is None:
            num_unscored += 1
        elif rows:
            both.append(_Both(pair.category, pair.pair_id, _score(pair, rows), _human_score(rows)))
    members: dict[str, list[_Both]] = {}
    for one in both:
        members.setdefault(one.category, []).append(one)
    return Agreement(
        num_rows=len(human.rows),
        num_blank=human.num_blank,
        unmatched=tuple((row.line, row.category, row.pair_id, row.sample) for row in unmatched),
        num_unscored=num_unscored,
        num_unrated=sum(pair.score is not None for pair in pairs) - len(both),
        overall=_group(both),
        categories={category: _group(of_category) for category, of_category in members.items()},
        disagreements=_disagreements(both),
        raters=_raters(rated),
    )


def _finder(pairs: Sequence[PairResult]) -> Callable[[HumanScore], PairResult | None]:
    """Finds a row's pair, also by what ``pairs.csv`` makes of a name: people make their files of that one."""
    exact = {(pair.category, pair.pair_id): pair for pair in pairs}
    as_cells = {(cell_text(pair.category), cell_text(pair.pair_id)): pair for pair in pairs}

    def find(row: HumanScore) -> PairResult | None:
        for key in ((row.category, row.pair_id), (row.category.strip(), row.pair_id.strip())):
            if found := exact.get(key) or as_cells.get(key):
                return found
        return None

    return find


def _score(pair: PairResult, rows: Sequence[HumanScore]) -> float:
    """The reward's: of the whole pair if anybody rated it as a whole, else of the samples that were rated."""
    named = {row.sample for row in rows}
    return mean([one.score for one in pair.samples if one.score is not None and (None in named or one.sample in named)])


def _human_score(rows: Sequence[HumanScore]) -> float:
    """The mean over samples of the mean over rows, as the reward's."""
    by_sample: dict[int | None, list[float]] = {}
    for row in rows:
        by_sample.setdefault(row.sample, []).append(row.score)
    return mean([mean(scores) for scores in by_sample.values()])


def _group(both: Sequence[_Both]) -> GroupAgreement:
    scores, human = [one.score for one in both], [one.human for one in both]
    return GroupAgreement(
        num_pairs=len(both),
        spearman=spearman(scores, human),
        kendall=kendall(scores, human),
        pearson=pearson(scores, human),
    )


def _disagreements(both: Sequence[_Both]) -> tuple[Disagreement, ...]:
    if not both:
        return ()
    own, of_people = ranks([one.score for one in both]), ranks([one.human for one in both])
    found = [
        Disagreement(one.category, one.pair_id, one.score, one.human, float(rank), float(human_rank))
        for one, rank, human_rank in zip(both, own, of_people, strict=True)
        if rank != human_rank
    ]
    found.sort(key=lambda one: -abs(one.rank_difference))
    return tuple(found[:MOST_DISAGREEMENTS])


def _raters(rated: Mapping[tuple[str, str], Sequence[HumanScore]]) -> Raters | None:
    by_rater: dict[str, dict[tuple[tuple[str, str], int | None], list[float]]] = {}
    for key, rows in rated.items():
        for row in rows:
            if row.rater is not None:
                by_rater.setdefault(row.rater, {}).setdefault((key, row.sample), []).append(row.score)
    if len(by_rater) < 2:
        return None
    found = []
    compared = itertools.combinations(by_rater.values(), 2) if len(by_rater) <= MOST_RATERS else ()
    for one, two in compared:
        common = [what for what in one if what in two]
        if len(common) >= FEWEST_IN_COMMON:
            value = spearman([mean(one[what]) for what in common], [mean(two[what]) for what in common]).value
            if value is not None:
                found.append(value)
    return Raters(num_raters=len(by_rater), num_compared=len(found), mean_spearman=mean(found) if found else None)
