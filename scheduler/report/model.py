"""What a report says, as data: every writer (JSON, Markdown, terminal, a gallery) reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.statistics.correlations import Correlation
from scheduler.statistics.describe import Description
from scheduler.statistics.variance import Variance

StageName = Literal["edit", "score"]
PairStatus = Literal["scored", "edited", "failed", "missing"]
ReportStatus = Literal["COMPLETE", "INCOMPLETE"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run was asked to do with every pair.

    Raises:
        ValueError: a count under 1, or no or unknown stages.
    """

    samples_per_pair: int = 1
    reward_passes: int = 1
    stages: Sequence[StageName] = ("edit", "score")

    def __post_init__(self) -> None:
        if self.samples_per_pair < 1 or self.reward_passes < 1:
            raise ValueError(
                f"samples_per_pair ({self.samples_per_pair}) and reward_passes ({self.reward_passes}) must be 1 or more"
            )
        if not self.stages or not set(self.stages) <= {"edit", "score"}:
            raise ValueError(f"stages are edit, score or both, not {list(self.stages)}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one unit of work got no result. ``sample`` and ``pass_`` are null where it concerns all of them."""

    category: str
    pair_id: str
    stage: Literal["load", "edit", "score"]
    kind: str
    message: str
    sample: int | None
    pass_: int | None


@dataclass(frozen=True, slots=True)
class Edit:
    """A delivered edit. ``image`` is relative to the run directory, else absolute; ``size`` is width and height.

    ``seed`` is null for one that was made elsewhere.
    """

    identity: str
    image: str
    sha256: str
    size: tuple[int, int]
    seed: int | None
    worker: str | None
    device: str | None
    round: int | None
    device_seconds: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """One pass of the reward over one edit. ``device_seconds`` is that of the whole ``batch`` it was scored in."""

    identity: str
    pass_: int
    score: float
    aspects: Mapping[str, float] | None
    response: str | None
    method: str
    worker: str | None
    device: str | None
    batch: int | None
    device_seconds: float | None


@dataclass(frozen=True, slots=True)
class SampleResult:
    """One edit of a pair and its scores, by pass. ``score`` is their mean, null unless every pass has one."""

    sample: int
    edit: Edit | None
    scores: tuple[Score, ...]
    score: float | None


@dataclass(frozen=True, slots=True)
class PairResult:
    """One pair of the benchmark.

    ``scored``: every sample and pass has a score. ``edited``: every sample has its edit, and no score was asked for.
    ``failed``: something is recorded as failed. ``missing``: not done yet. ``score`` is null unless ``scored``.
    """

    category: str
    pair_id: str
    source_sha256: str | None
    instruction: str | None
    description: str | None
    status: PairStatus
    score: float | None
    samples: tuple[SampleResult, ...]


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
