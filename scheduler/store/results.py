"""What is known of one pair: its edits, its scores, its failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scheduler.base.stages import Stage

PairStatus = Literal["scored", "edited", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run was asked to do with every pair.

    Raises:
        ValueError: a count under 1, or no or unknown stages.
    """

    samples_per_pair: int = 1
    reward_passes: int = 1
    stages: Sequence[Stage] = ("edit", "score")

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
class EditResult:
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
class ScoreResult:
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
    edit: EditResult | None
    scores: tuple[ScoreResult, ...]
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
