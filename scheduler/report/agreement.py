"""Compares the reward's scores with those of people: how far both rank the pairs in the same order.

Several rows about a pair are averaged. If people have rated single samples, the reward's score of the pair is the mean
of these samples. A pair without a score by either side is left out and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scheduler.report.model import Agreement, Disagreement, GroupAgreement, Raters, UnmatchedRow
from scheduler.report.pairs_csv import cell_text
from scheduler.statistics.correlations import kendall, pearson, ranks, spearman
from scheduler.statistics.describe import mean
from scheduler.store.human_scores import HumanScore, HumanScores
from scheduler.store.results import PairResult

MAX_DISAGREEMENTS = 10
MIN_COMMON_PAIRS = 4
"""Pairs that two raters must both have rated to be compared."""

MAX_RATERS = 50
"""More raters are not compared with each other."""


class _RatedPair(NamedTuple):
    category: str
    pair_id: str
    score: float
    human_score: float


def agree(pairs: Sequence[PairResult], human: HumanScores, samples_per_pair: int) -> Agreement:
    """Compare the scores of these pairs with those that people gave."""
    find = _finder(pairs)
    rows_of: dict[tuple[str, str], list[HumanScore]] = {}
    unmatched: list[UnmatchedRow] = []
    for row in human.rows:
        pair = find(row)
        if pair is None or (row.sample is not None and row.sample >= samples_per_pair):
            unmatched.append(UnmatchedRow(line=row.line, category=row.category, pair_id=row.pair_id, sample=row.sample))
        else:
            rows_of.setdefault((pair.category, pair.pair_id), []).append(row)
    rated: list[_RatedPair] = []
    num_unscored = 0
    for pair in pairs:
        rows = rows_of.get((pair.category, pair.pair_id))
        if rows and pair.score is None:
            num_unscored += 1
        elif rows:
            rated.append(_RatedPair(pair.category, pair.pair_id, _score(pair, rows), _human_score(rows)))
    members: dict[str, list[_RatedPair]] = {}
    for rated_pair in rated:
        members.setdefault(rated_pair.category, []).append(rated_pair)
    return Agreement(
        num_rows=len(human.rows),
        num_blank=human.num_blank,
        num_unmatched=len(unmatched),
        num_unscored=num_unscored,
        num_unrated=sum(pair.score is not None for pair in pairs) - len(rated),
        overall=_group(rated),
        categories={category: _group(of_category) for category, of_category in members.items()},
        disagreements=_disagreements(rated),
        raters=_raters(rows_of),
        unmatched=tuple(unmatched),
    )


def _finder(pairs: Sequence[PairResult]) -> Callable[[HumanScore], PairResult | None]:
    """Return a function that finds the pair of a row: by its exact name, or by its name as ``pairs.csv`` writes it."""
    exact = {(pair.category, pair.pair_id): pair for pair in pairs}
    as_cells = {(cell_text(pair.category), cell_text(pair.pair_id)): pair for pair in pairs}

    def find(row: HumanScore) -> PairResult | None:
        for key in ((row.category, row.pair_id), (row.category.strip(), row.pair_id.strip())):
            if pair := exact.get(key) or as_cells.get(key):
                return pair
        return None

    return find


def _score(pair: PairResult, rows: Sequence[HumanScore]) -> float:
    """The reward's score: of the whole pair if a row rates it as a whole, else of the samples that were rated."""
    rated = {row.sample for row in rows}
    scores = [sample.score for sample in pair.samples if None in rated or sample.sample in rated]
    return mean([score for score in scores if score is not None])


def _human_score(rows: Sequence[HumanScore]) -> float:
    """The mean over samples of the mean over rows, like the reward's."""
    by_sample: dict[int | None, list[float]] = {}
    for row in rows:
        by_sample.setdefault(row.sample, []).append(row.score)
    return mean([mean(scores) for scores in by_sample.values()])


def _group(rated: Sequence[_RatedPair]) -> GroupAgreement:
    scores, human_scores = [pair.score for pair in rated], [pair.human_score for pair in rated]
    return GroupAgreement(
        num_pairs=len(rated),
        spearman=spearman(scores, human_scores),
        kendall=kendall(scores, human_scores),
        pearson=pearson(scores, human_scores),
    )


def _disagreements(rated: Sequence[_RatedPair]) -> tuple[Disagreement, ...]:
    if not rated:
        return ()
    score_ranks = map(float, ranks([pair.score for pair in rated]))
    human_ranks = map(float, ranks([pair.human_score for pair in rated]))
    disagreements = [
        Disagreement(**pair._asdict(), rank=rank, human_rank=human_rank, rank_difference=rank - human_rank)
        for pair, rank, human_rank in zip(rated, score_ranks, human_ranks, strict=True)
        if rank != human_rank
    ]
    disagreements.sort(key=lambda pair: -abs(pair.rank_difference))
    return tuple(disagreements[:MAX_DISAGREEMENTS])


def _raters(rows_of: Mapping[tuple[str, str], Sequence[HumanScore]]) -> Raters | None:
    by_rater: dict[str, dict[tuple[tuple[str, str], int | None], list[float]]] = {}
    for key, rows in rows_of.items():
        for row in rows:
            if row.rater is not None:
                by_rater.setdefault(row.rater, {}).setdefault((key, row.sample), []).append(row.score)
    if len(by_rater) < 2:
        return None
    correlations = []
    for first, other in itertools.combinations(by_rater.values(), 2) if len(by_rater) <= MAX_RATERS else ():
        common = [rated for rated in first if rated in other]
        if len(common) >= MIN_COMMON_PAIRS:
            value = spearman([mean(first[rated]) for rated in common], [mean(other[rated]) for rated in common]).value
            if value is not None:
                correlations.append(value)
    return Raters(
        num_raters=len(by_rater),
        num_compared=len(correlations),
        mean_spearman=mean(correlations) if correlations else None,
    )
