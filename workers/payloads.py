"""A job's images, decoded, and its result, encoded. These functions run in codec threads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from protocol.codec import Buffer
from protocol.messages import (
    Edit,
    Edited,
    Failed,
    Judgement,
    Message,
    Prompt,
    Role,
    Score,
    Scored,
    ScoredItem,
    ScoreItem,
    Stage,
    ThumbnailOf,
)
from workers.codecs import as_rgb_or_rgba, decode_image, encode_png
from workers.interface import ModelError, ScoreRequest
from workers.question_images import images_to_show
from workers.thumbnail_maker import make_thumbnail

_KEPT_BYTES = 4 * 1024 * 1024
"""An RGBA image of a usual size, 1024 by 1024."""


@dataclass(frozen=True)
class ScoreInput:
    """One item of a batch: its requests, or if an image cannot be decoded, the judgements that say so."""

    item: str
    requests: list[ScoreRequest]
    failed: list[Judgement] = field(default_factory=list)


@dataclass(frozen=True)
class PreparedBatch:
    """All requests of a batch, as prepared by the worker's model number ``load`` (it counts the loads)."""

    requests: Sequence[ScoreRequest]
    load: int


@dataclass(frozen=True)
class ScoreOutput:
    """The judgements of a batch, by item, and the batch sizes that the device used."""

    items: list[ScoredItem]
    batch_sizes: list[int]


@dataclass(frozen=True)
class JobResult:
    """A result, ready to be sent any number of times."""

    message: Message
    images: Sequence[Buffer] = ()


def warm_up(role: Role) -> None:
    """Encode and decode a small image, so that no device waits for the first time's imports."""
    # The largest block that was freed decides how much memory glibc keeps. Without this one it returns the memory of
    # each image to the system, and the next one's takes a quarter longer until it is on disk.
    bytearray(_KEPT_BYTES)
    image = Image.new("RGB", (64, 64))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        make_thumbnail(decode_image(file.getvalue()))
    if role == "editor":
        encode_png(image)


def decode_sources(images: Sequence[Buffer]) -> list[Image.Image]:
    """Decode the source images of an edit.

    Raises:
        ModelError: one cannot be decoded.
    """
    sources = []
    for number, data in enumerate(images, 1):
        try:
            sources.append(decode_image(bytes(data)))
        except ModelError as error:
            raise ModelError(error.kind, str(error) if number == 1 else f"source image {number}: {error}") from error
    return sources


def decode_batch(message: Score, images: Sequence[Buffer], *, as_files: bool = False) -> list[ScoreInput]:
    """Decode the images of a batch, and make the requests. ``as_files``: the reward takes the files."""
    remaining = iter(images)
    inputs = []
    for item in message.items:
        frames = [bytes(next(remaining)) for _ in range(len(item.images))]
        try:
            inputs.append(ScoreInput(item.item, _requests(item, frames, as_files=as_files)))
        except ModelError as error:
            aspects = [item.question.name] if item.question else [prompt.aspect for prompt in item.prompts]
            message_text = sendable(str(error))
            failed = [Judgement(aspect=aspect, kind=error.kind, message=message_text) for aspect in aspects]
            inputs.append(ScoreInput(item.item, [], failed))
    return inputs


def _requests(item: ScoreItem, frames: Sequence[bytes], *, as_files: bool) -> list[ScoreRequest]:
    """The requests of an item, each with the images that it needs. Raises ModelError: one cannot be decoded."""
    question = item.question
    if question is not None:
        images = dict(zip(question.images, frames, strict=True))
        request = ScoreRequest(
            image=None,  # type: ignore[arg-type]  # rewards that do not answer questions need not check for it
            source=None,
            prompt=Prompt(aspect=question.name, system="", user=""),
            key=item.key,
            image_sha256=hashlib.sha256(images.get("edit", b"")).hexdigest(),
            question=question,
            shown=images_to_show(question, images),
        )
        return [request]
    digest = hashlib.sha256(frames[0]).hexdigest()
    if as_files:
        return [
            ScoreRequest(None, None, prompt, item.key, digest, files=frames)  # type: ignore[arg-type]  # see takes_files
            for prompt in item.prompts
        ]
    image = decode_image(frames[0])
    source = decode_image(frames[1]) if item.with_source else None
    return [ScoreRequest(image, source, prompt, item.key, digest) for prompt in item.prompts]


def encode_edit(
    message: Edit, image: Image.Image, started: float, finished: float, source_thumbnail: bytes | None = None
) -> JobResult:
    """Encode an edit as PNG, with the thumbnails that could be made."""
    pixels = as_rgb_or_rgba(image)
    png = encode_png(pixels)
    made: dict[ThumbnailOf, bytes | None] = {"edit": make_thumbnail(pixels), "source": source_thumbnail}
    thumbnails = {name: thumbnail for name, thumbnail in made.items() if thumbnail is not None}
    edited = Edited(
        run=message.run,
        incarnation=message.incarnation,
        job=message.job,
        started=started,
        finished=finished,
        width=image.width,
        height=image.height,
        sha256=hashlib.sha256(png).hexdigest(),
        thumbnails=list(thumbnails),
    )
    return JobResult(edited, (png, *thumbnails.values()))


def encode_scores(message: Score, output: ScoreOutput, started: float, finished: float) -> JobResult:
    """The message with a batch's judgements."""
    return JobResult(
        Scored(
            run=message.run,
            incarnation=message.incarnation,
            job=message.job,
            started=started,
            finished=finished,
            items=output.items,
            batch_sizes=output.batch_sizes,
        )
    )


def sendable(text: str) -> str:
    """Make any text fit for a message: not too long, and without lone surrogates."""
    return text[:4000].encode(errors="backslashreplace").decode()


def failure(message: Edit | Score, error: ModelError, started: float | None, finished: float | None) -> JobResult:
    """The message with a job's failure. ``started`` is None if the device never started it."""
    stage: Stage = "edit" if isinstance(message, Edit) else "score"
    return JobResult(
        Failed(
            run=message.run,
            incarnation=message.incarnation,
            job=message.job,
            stage="load" if started is None else stage,
            kind=error.kind[:100] or "error",
            message=sendable(str(error)),
            started=started,
            finished=finished,
        )
    )
