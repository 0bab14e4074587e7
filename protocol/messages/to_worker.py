"""Messages that a worker receives: work from a run, and the model to load from its launcher."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from protocol.keys import Key
from protocol.messages.parts import MAX_BATCH, Count, Id, ModelSpec, Residency, RunMessage, Text

MAX_IMAGES = 16
"""The most images of one edit or one question."""
ImageName = Annotated[str, Meta(min_length=1, max_length=100)]
"""Which image of a pair: ``edit``, ``source``, ``source_2``, ``reference``, ``ground_truth``, ``mask``, ..."""


class Edit(RunMessage, frozen=True, kw_only=True):
    """One edit. Its ``images`` source images follow. With a ``round``, it starts only once that round is released."""

    epoch: Count
    job: Id
    key: Id
    round: Count | None
    instruction: Text
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    parameters: dict[str, Any]
    images: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] = 1

    @property
    def image_frames(self) -> int:
        return self.images


class Release(RunMessage, frozen=True, kw_only=True):
    """Jobs of this round and earlier ones may start. Repeating it changes nothing."""

    round: Count


class Prompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reward is asked about one edit. ``aspect`` is empty if a pair has only one prompt."""

    aspect: Annotated[str, Meta(max_length=200)] = ""
    system: Text
    user: Text


class ImageStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to an image before it is shown, in the order of these fields, with Pillow's own defaults.

    ``rgb``: it is converted to RGB (alpha is dropped); without ``rgb``, only if the encoding cannot hold its mode (for
    JPEG RGBA and palettes, but not grey). ``size_of``: it is resized to the size of the image of this name.
    ``longest_side``: if it is larger, ``Image.thumbnail`` makes its longer side this many pixels. ``upright``: its EXIF
    orientation is undone, and ``size_of`` means an upright size; without ``upright``, all images are taken as they are
    in their files. ``encoding``: it is encoded so (JPEG with ``quality``); ``original`` leaves the bytes as they are,
    and excludes the other steps. ``media_type`` is what a server is told that the bytes are; without it, what they are.
    """

    rgb: bool = False
    size_of: ImageName | None = None
    longest_side: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    upright: bool = False
    encoding: Literal["original", "jpeg", "png"] = "original"
    quality: Annotated[int, Meta(ge=1, le=100)] = 75
    media_type: Literal["image/jpeg", "image/png", "image/webp"] | None = None


class TextPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="text"):
    """A text of a question."""

    text: Text


class ImagePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="image"):
    """An image of a question. ``detail`` is passed on to a server that takes it."""

    image: ImageName
    step: ImageStep = ImageStep()
    detail: Literal["low", "high", "auto"] | None = None


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to the judge about one edit: a system text (empty: none), then texts and images in order.

    ``name`` is unique among the questions about an edit.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    system: Text = ""
    parts: Annotated[list[TextPart | ImagePart], Meta(min_length=1, max_length=64)]

    @property
    def images(self) -> tuple[str, ...]:
        """The names of all images that the parts and their steps need, each once, in order."""
        named = [
            name
            for part in self.parts
            if isinstance(part, ImagePart)
            for name in (part.image, part.step.size_of)
            if name is not None
        ]
        return tuple(dict.fromkeys(named))


class ScoreItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edit of a batch, with prompts or a question.

    With ``prompts``, its image frame follows, and then the source's if ``with_source``. With a ``question``, the images
    that it needs follow, in the order of ``question.images``.
    """

    item: Id
    key: Id
    prompts: Annotated[list[Prompt], Meta(max_length=32)] = []
    with_source: bool = False
    question: Question | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the images that follow, in order."""
        if self.question is not None:
            return self.question.images
        return ("edit", "source") if self.with_source else ("edit",)


class Score(RunMessage, frozen=True, kw_only=True):
    """A batch of edits to score together."""

    epoch: Count
    job: Id
    items: Annotated[list[ScoreItem], Meta(min_length=1, max_length=MAX_BATCH)]
    parameters: dict[str, Any]

    @property
    def image_frames(self) -> int:
        return sum(len(item.images) for item in self.items)


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


class Assigned(RunMessage, frozen=True, kw_only=True):
    """The launcher's answer to ``Join``: which worker of the pool this is.

    A worker that does not hear its launcher for ``dead_after_seconds`` starts no new job, and ends after
    ``orphan_seconds`` more.
    """

    worker_id: Id
    device: Id
    heartbeat_seconds: Annotated[float, Meta(gt=0, le=86400)]
    dead_after_seconds: Annotated[float, Meta(gt=0, le=86400)]
    orphan_seconds: Annotated[float, Meta(ge=0, le=86400)]


class Allow(RunMessage, frozen=True, kw_only=True):
    """The public keys of the runs that may connect to the worker, beside the launcher's. Open connections stay."""

    keys: Annotated[list[Key], Meta(max_length=8192)]


class Place(RunMessage, frozen=True, kw_only=True):
    """Move the model's weights to this residency."""

    epoch: Count
    residency: Residency
