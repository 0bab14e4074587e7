"""Messages that a worker receives: work from a run, and the model to load from its launcher."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from protocol.messages.parts import MAX_BATCH, Count, Id, ModelSpec, Residency, RunMessage, Text


class Edit(RunMessage, frozen=True, kw_only=True):
    """One edit, with its source image. With a ``round``, it starts only once that round is released."""

    epoch: Count
    job: Id
    key: Id
    round: Count | None
    instruction: Text
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    parameters: dict[str, Any]

    @property
    def image_frames(self) -> int:
        return 1


class Release(RunMessage, frozen=True, kw_only=True):
    """Jobs of this round and earlier ones may start. Repeating it changes nothing."""

    round: Count


class Prompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reward is asked about one edit. ``aspect`` is empty if a pair has only one prompt."""

    aspect: Annotated[str, Meta(max_length=200)] = ""
    system: Text
    user: Text


class ScoreItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edit of a batch. Its image frame follows, and then the source's if ``with_source``."""

    item: Id
    key: Id
    prompts: Annotated[list[Prompt], Meta(min_length=1, max_length=32)]
    with_source: bool


class Score(RunMessage, frozen=True, kw_only=True):
    """A batch of edits to score together."""

    epoch: Count
    job: Id
    items: Annotated[list[ScoreItem], Meta(min_length=1, max_length=MAX_BATCH)]
    parameters: dict[str, Any]

    @property
    def image_frames(self) -> int:
        return sum(2 if item.with_source else 1 for item in self.items)


class Ack(RunMessage, frozen=True, kw_only=True):
    """The result of this job is stored; the worker may forget it."""

    job: Id


class Cancel(RunMessage, frozen=True, kw_only=True):
    """Drop these jobs, or all of the run, unless they have started."""

    jobs: list[Id] | None = None


class Load(RunMessage, frozen=True, kw_only=True):
    """Load this model instead of the current one; heartbeats report the progress."""

    epoch: Count
    spec: ModelSpec
    residency: Residency
    serial: bool = True
    job_timeout_seconds: Annotated[float, Meta(gt=0, le=86400)] = 600.0
    load_timeout_seconds: Annotated[float, Meta(gt=0, le=86400)] = 1800.0


class Place(RunMessage, frozen=True, kw_only=True):
    """Move the model's weights to this residency."""

    epoch: Count
    residency: Residency
