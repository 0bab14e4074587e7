"""What a report says, as data: every writer (JSON, Markdown, terminal, a gallery) reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.statistics.correlations import Correlation
from scheduler.statistics.describe import Description
from scheduler.statistics.variance import Variance
from scheduler.store.results import Expected, Failure, PairResult

ReportStatus = Literal["COMPLETE", "INCOMPLETE"]


@dataclass(frozen=True, slots=True)
class Group:
    """The pairs of one category, or of all: ``num_pairs`` = scored + edited without a score asked + failed + missing.

    ``statistics`` are over the scored pairs alone; their count is ``statistics.num_samples``. ``aspects`` are those of
    each aspect, over the scored pairs that have it; ``combine`` is the rule that makes one score of the aspects, null
    where there are none, or where the run did not record it (and for all categories together).
    """

    statistics: Description
    num_pairs: int
    num_edited: int
    num_failed: int
    num_missing: int
    aspects: Mapping[str, Description]
    combine: str | None


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """How far reward and people agree on ``num_pairs`` pairs of one category, or of all."""

    num_pairs: int
    spearman: Correlation
    kendall: Correlation
    pearson: float | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair that reward and people rank differently. Ranks count from 1, the lowest score, and may be halves (ties);
    ``rank_difference`` is the reward's less the people's: above 0, the reward thinks better of it.
    """

    category: str
    pair_id: str
    score: float
    human_score: float
    rank: float
    human_rank: float

    @property
    def rank_difference(self) -> float:
        return self.rank - self.human_rank


@dataclass(frozen=True, slots=True)
class Raters:
    """How far people agree with each other: the mean of Spearman's rho over the ``num_compared`` pairs of raters who
    have enough in common; null without any.
    """

    num_raters: int
    num_compared: int
    mean_spearman: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The reward's scores beside those of people, over the scored pairs that people rated.

    ``num_rows`` of the file have a score, ``num_blank`` none. ``unmatched`` rows name no pair or sample of this run (a
    line of the file, category, id, sample), those of ``num_unscored`` pairs have no score by the reward, and
    ``num_unrated`` scored pairs have none by people. ``disagreements`` are the largest, the largest first. ``raters``
    is null where the file does not tell several apart.
    """

    num_rows: int
    num_blank: int
    unmatched: tuple[tuple[int, str, str, int | None], ...]
    num_unscored: int
    num_unrated: int
    overall: GroupAgreement
    categories: Mapping[str, GroupAgreement]
    disagreements: tuple[Disagreement, ...]
    raters: Raters | None


@dataclass(frozen=True, slots=True)
class StagePerformance:
    """One stage, summed over the parts of a resumed run; null where no part of it came to its end.

    ``workers`` is the most that any part had. ``efficiency`` is device seconds / (wall seconds x workers), each part
    with its own number of workers.
    """

    wall_seconds: float | None
    device_seconds: float | None
    workers: int | None
    efficiency: float | None


@dataclass(frozen=True, slots=True)
class Performance:
    """How the time went, both stages of all parts together.

    ``barrier_loss_in_file_order`` is what the edits' unequal lengths alone would have cost at barriers, in device
    seconds, had they been done in the benchmark's order; None without barriers.
    """

    edit: StagePerformance
    score: StagePerformance
    rounds: int | None
    barrier_wait_seconds: float | None
    barrier_loss_in_file_order: float | None
    model_switches: int | None
    model_switch_seconds: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report. Categories and pairs are in the benchmark's order, failures in that of their pairs.

    The mean of ``overall`` is the micro average (over pairs), ``macro_mean`` the mean of the categories' means.
    ``variance`` is null where each pair has but one score, ``agreement`` where no scores of people were given.
    ``scoring_methods`` counts the scores that the statistics are made of, by how they were read. ``provenance`` is the
    run's manifest; ``notes`` are its warnings to the reader.
    """

    expected: Expected
    status: ReportStatus
    notes: tuple[str, ...]
    overall: Group
    macro_mean: float | None
    variance: Variance | None
    agreement: Agreement | None
    categories: Mapping[str, Group]
    failures: tuple[Failure, ...]
    pairs: tuple[PairResult, ...]
    scoring_methods: Mapping[str, int]
    performance: Performance
    provenance: Mapping[str, Any]
