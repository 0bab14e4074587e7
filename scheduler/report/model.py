"""What a report says, as data: every writer (JSON, Markdown, terminal, a gallery) reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.statistics import Description

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
    """A delivered edit. ``image`` is relative to the run directory, else absolute; ``size`` is width and height."""

    identity: str
    image: str
    sha256: str
    size: tuple[int, int]
    seed: int
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

    ``statistics`` are over the scored pairs alone; their count is ``statistics.num_samples``.
    """

    statistics: Description
    num_pairs: int
    num_edited: int
    num_failed: int
    num_missing: int


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

    ``macro_mean`` is the mean of the categories' means. ``scoring_methods`` counts the scores that the statistics are
    made of, by how they were read. ``provenance`` is the run's manifest; ``notes`` are its warnings to the reader.
    """

    expected: Expected
    status: ReportStatus
    notes: tuple[str, ...]
    overall: Group
    macro_mean: float | None
    categories: Mapping[str, Group]
    failures: tuple[Failure, ...]
    pairs: tuple[PairResult, ...]
    scoring_methods: Mapping[str, int]
    performance: Performance
    provenance: Mapping[str, Any]
