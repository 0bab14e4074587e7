"""What is known of one pair: its edits, scores and failures, as the JSON report has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from protocol.messages import Usage
from scheduler.base.stages import Stage

PairStatus = Literal["scored", "edited", "failed", "missing"]
Count = Annotated[int, Meta(ge=0)]
PositiveCount = Annotated[int, Meta(ge=1)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Expected(Struct, frozen=True):
    """What a run was asked to do with every pair. Both counts are 1 or more."""

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


class Failure(Struct, frozen=True, kw_only=True):
    """Why one unit of work has no result. ``sample`` and ``pass`` are null where all of them are concerned, and
    ``question`` where no protocol judges.
    """

    category: str
    pair_id: str
    stage: Literal["load", "edit", "score"]
    kind: str
    message: str
    sample: Count | None
    pass_: Count | None = field(name="pass")
    question: str | None = None


class AnswerResult(Struct, frozen=True, kw_only=True):
    """The judge's answer to one question of a protocol about one edit, and the dimensions that were read from it."""

    pass_: Count = field(name="pass")
    question: str
    response: str
    dimensions: Mapping[str, float]
    worker: str | None
    device: str | None
    batch: Count | None
    batch_device_seconds: float | None
    usage: Usage | None


class ScoreResult(Struct, frozen=True, kw_only=True):
    """One pass of the reward over one edit.

    ``method`` is how the score was read: json, marked, logits, protocol, or a name of the user's own class.
    ``dimensions`` are the named values that the score was made of, null without any: those of a protocol, or the
    ``aspects`` of ``prompts``. ``batch_device_seconds`` is the device time of the whole batch, ``usage`` what the pass
    took of a served judge; with a protocol the ``answers`` have both.
    """

    pass_: Count = field(name="pass")
    score: float
    aspects: Mapping[str, float | None] | None
    dimensions: Mapping[str, float] | None
    response: str | None
    method: str
    worker: str | None
    device: str | None
    batch: Count | None
    batch_device_seconds: float | None
    usage: Usage | None


class SampleResult(Struct, frozen=True, kw_only=True):
    """One edit of a pair and its scores, by pass. Without an edit, all that describes it is null.

    ``image`` is a path, relative to the run's directory or absolute; ``size`` is width and height. ``seed``,
    ``worker``, ``device``, ``round`` and ``edit_device_seconds`` are null for an edit that was made elsewhere.
    ``score`` is the mean over the passes, null unless every pass has one. ``answers`` are those to the questions of a
    protocol, by pass and question, also of a pass without a score.
    """

    sample: Count
    seed: int | None
    image: str | None
    sha256: Sha256 | None
    size: tuple[PositiveCount, PositiveCount] | None
    worker: str | None
    device: str | None
    round: Count | None
    edit_device_seconds: float | None
    score: float | None
    scores: tuple[ScoreResult, ...]
    answers: tuple[AnswerResult, ...]


class PairResult(Struct, frozen=True, kw_only=True):
    """One pair of the benchmark.

    ``scored``: every sample and pass has a score. ``edited``: every sample has its edit, and no score was asked for.
    ``failed``: something is recorded as failed. ``missing``: not done yet. ``score`` is the mean over the samples, null
    unless the pair is ``scored``. ``dimensions`` has the mean of each dimension over all samples and passes, null where
    one of them lacks it; a pair without a score may have some. It is null if the run has no dimensions. ``images`` are
    the hashes of the images beside the first source, by name, and ``facts`` what else a protocol knows of the pair;
    these, ``reference``, ``language``, ``task`` and ``subsets`` are null where the data has none.
    """

    category: str
    pair_id: str
    status: PairStatus
    score: float | None
    dimensions: Mapping[str, float | None] | None
    instruction: str | None
    description: str | None
    reference: str | None
    language: str | None
    task: str | None
    subsets: tuple[str, ...] | None
    facts: Mapping[str, Any] | None
    source_sha256: Sha256 | None
    images: Mapping[str, Sha256] | None
    samples: tuple[SampleResult, ...]
