"""The base classes of editors and rewards, also of your own (``class_path``).

A worker process makes one object, calls ``load`` once and then ``edit`` or ``score`` any number of times, always on the
same thread; only ``Reward.prepare_batch`` and ``StreamingReward.stream`` are called on other ones. Put heavy imports
inside the methods, not at the top of the module.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from protocol.devices import gpus_of
from protocol.messages import Judgement, ModelSpec, Prompt, Question, Residency
from workers.models.flatten import flatten

__all__ = [
    "EditRequest",
    "Editor",
    "Model",
    "ModelError",
    "Progress",
    "QuestionImage",
    "Reward",
    "ScoreRequest",
    "Scores",
    "StreamingReward",
    "WorkerContext",
    "flatten",
]


class FetchProgress(Protocol):
    """Call it while files are made ready, with what is being done."""

    def __call__(self, doing: Literal["downloading", "converting"] = "downloading", /) -> None: ...


Progress = Callable[[int, int], None]
"""Call ``progress(step, steps)`` after each step of device work; a worker without progress counts as hung."""


class ModelError(Exception):
    """A failure of a known kind, such as ``oom`` or ``unreadable_reply``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class EditRequest:
    """One edit. ``image`` is RGB or RGBA, upright; ``parameters`` are the run's (steps, guidance, size, ...).

    ``images`` are all source images, of which ``image`` is the first; there are more only with ``images: all``.

    ``flatten(image)`` is what the built-in models see of it: RGB, with white in place of transparency.
    """

    image: Image.Image
    instruction: str
    seed: int
    key: str
    parameters: Mapping[str, Any]
    images: Sequence[Image.Image] = ()

    def __post_init__(self) -> None:
        if not self.images:
            object.__setattr__(self, "images", (self.image,))


@dataclass(frozen=True)
class QuestionImage:
    """An image of a question after its step: encoded as it is to be shown. ``media_type`` is what a server is told."""

    data: bytes
    media_type: str


@dataclass(frozen=True)
class ScoreRequest:
    """One edit and one prompt or question about it.

    With a prompt, ``image`` is the edit, and ``source`` is None unless the run compares edits with their sources. Both
    are RGB or RGBA, as in ``EditRequest``. With a ``question`` (only if the type ``answers_questions``) both are None,
    ``shown`` has the image of each of its image parts, in order, ``prompt`` has its name as aspect and no text, and the
    judgement is to have a ``response`` and no score.

    For a reward that ``takes_files``, both are None with a prompt too, and ``files`` has the file of the edit and, if
    the run compares, that of the source.

    ``image_sha256`` is the hash of the edit's encoded bytes.
    """

    image: Image.Image
    source: Image.Image | None
    prompt: Prompt
    key: str
    image_sha256: str
    question: Question | None = None
    shown: Sequence[QuestionImage] = ()
    files: Sequence[bytes] = ()


@dataclass(frozen=True)
class Scores:
    """The judgements, in the order of the requests, and the batch sizes that the device used."""

    judgements: Sequence[Judgement]
    batch_sizes: Sequence[int] = field(default_factory=tuple)


@dataclass(frozen=True)
class WorkerContext:
    """What a worker offers its model: its name, the pool's folder, for files such as logs, and what the workers of one
    pool have in common.

    Call ``progressed`` while ``load`` takes long, to show that it goes on. Call ``broken``, in any thread and with the
    reason, when the model cannot work any more: the worker ends, and is started anew. Call ``outdated`` instead when no
    job can be the cause, as the model is another one by now: what the worker has not finished counts against no pair.
    """

    name: str = ""
    folder: Path = Path()
    progressed: Callable[[], None] = lambda: None
    broken: Callable[[str], None] = lambda _reason: None
    pool: str = ""
    outdated: Callable[[str], None] = lambda _reason: None


class Model(abc.ABC):
    """What editors and rewards have in common. The worker sets ``context`` before it calls anything."""

    context = WorkerContext()

    def __init__(self, spec: ModelSpec, device: str) -> None:
        """Store what to load, and the device: ``cuda:0`` or ``cpu``. Nothing is read yet.

        With ``gpus_per_worker``, ``device`` is such as ``cuda:0+1``; ``self.device`` is the first GPU then, and
        ``self.devices`` has all.
        """
        self.spec = spec
        self.devices: Sequence[str] = gpus_of(device) or (device,)
        self.device = self.devices[0]

    def prepare(self) -> None:  # noqa: B027 - a model without heavy libraries has nothing to prepare
        """Import heavy libraries. Workers do this in parallel, before they wait for their turn to read weights."""

    def fetch(self, progress: FetchProgress) -> None:  # noqa: B027 - a model on disk has nothing to fetch
        """Download what is not on disk yet. Workers do this before they wait for their turn to read weights.

        Call ``progress`` whenever bytes have arrived: this may take any time, but not stop for as long as
        ``scheduler.load_timeout_seconds``.

        Raises:
            ModelError: with a reason that a user can act on.
        """

    @abc.abstractmethod
    def load(self, residency: Residency) -> None:
        """Read the weights, directly to ``device`` or into ``host`` memory.

        Raises:
            ModelError: with a reason that a user can act on.
        """

    def place(self, residency: Residency) -> None:  # noqa: B027 - a model without weights has nothing to move
        """Move the weights to ``device`` or ``host``. (For ``disk`` the worker drops the object.)"""

    def replace(self, spec: ModelSpec) -> bool:  # noqa: ARG002 - subclasses need it
        """Replace the loaded weights by another checkpoint's. ``place`` is called next, wherever they are then.

        Returns False, with nothing changed, if that is not possible (another architecture, another dtype); then the
        model is dropped and a new one loaded. After True, ``self.spec`` is the new one.

        Raises:
            ModelError: the checkpoint cannot be read; the model is no longer usable.
        """
        return False

    def close(self) -> None:  # noqa: B027 - most models have started nothing
        """The model is dropped, or the worker ends: stop what it has started."""

    def weight_files(self) -> Sequence[str]:
        """The files (absolute paths) whose bytes decide this model's results; they make its fingerprint.

        Called before and after loading, to notice files that change meanwhile; only the second list has to be complete.
        """
        return ()

    def mapped_files(self) -> Sequence[str]:
        """The files to read ahead when the weights go to ``host``, since these are pages of them."""
        return self.weight_files()

    def size_bytes(self) -> int:
        """The size of the loaded weights."""
        return 0

    def host_bytes(self) -> int:
        """The host memory that this worker alone needs while the weights are off the device.

        Less than ``size_bytes`` if weights are mapped from their files, whose pages all workers share.
        """
        return self.size_bytes()

    def load_bytes(self, residency: Residency) -> int | None:  # noqa: ARG002 - subclasses need it
        """The host memory that loading to ``residency`` takes at most; pages of mapped files do not count.

        Called before ``load``: loads run at the same time if the memory has room for all of them. None means unknown:
        then the model is loaded alone.
        """
        return None

    def revision(self) -> str | None:
        """What the results depend on that is in no file: the version of a server. It is part of the fingerprint."""
        return None

    def versions(self) -> Mapping[str, str]:
        """The libraries that a result depends on, name to version."""
        return {}


class Editor(Model):
    """Edits one image at a time."""

    @abc.abstractmethod
    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        """Return the edited image, RGB or RGBA.

        Raises:
            ModelError: for a failure of a known kind; any other exception is recorded as kind ``error``.
        """


class Reward(Model):
    """Scores edits in batches."""

    def prepare_batch(
        self,
        requests: Sequence[ScoreRequest],
        parameters: Mapping[str, Any],  # noqa: ARG002 - subclasses need it
    ) -> Sequence[ScoreRequest]:
        """Do the work that needs no device, such as tokenizing; ``score`` gets what this returns.

        It is called on another thread while ``score`` works on another batch, but never while the model is loaded,
        replaced or moved. If it was not called in time, or raised, it is called again just before ``score``, on the
        same thread; what it raises then is that batch's failure. Up to two prepared batches are in memory beside the
        one that is scored.

        Return the requests in their order, as a subclass of ``ScoreRequest`` that holds the prepared data.
        """
        return requests

    @abc.abstractmethod
    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Return one judgement per request; one without a score says why in ``kind`` and ``message``."""


class StreamingReward(Reward):
    """Works on many requests at once without the device, such as by asking a server. Its declaration ``streams``.

    ``takes_files``: it gets the files of images, and decodes them itself where that is needed.
    """

    takes_files = False

    @abc.abstractmethod
    def stream(
        self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Callable[[], None]
    ) -> Future[Scores]:
        """Begin to judge, as ``score`` would, and return at once: the worker's loop calls this and must not wait.

        The future may end in any thread; if it is cancelled, nobody wants the judgements any more. Call ``progress``
        whenever something has happened, while any future is pending: a worker without progress counts as hung.
        """

    @property
    @abc.abstractmethod
    def slots(self) -> int:
        """How many calls of ``stream`` it takes at the same time, at the moment; asked after the end of each."""

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        return self.stream(requests, parameters, lambda: progress(0, 0)).result()
