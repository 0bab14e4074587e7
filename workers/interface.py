"""What an editor and a reward are: the two classes to derive from, also for a model of one's own (``class_path``).

A worker process makes one object, calls ``load`` once and then ``edit`` or ``score`` again and again, always from the
same thread; only ``Reward.prepare_batch`` is called from another one. Heavy imports belong inside the methods, not at
the top of the module.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from protocol.messages import Judgement, ModelSpec, Prompt, Residency

Progress = Callable[[int, int], None]
"""Called as ``progress(step, steps)`` after each step of device work; a worker without progress counts as hung."""


class ModelError(Exception):
    """A failure whose kind the model knows, such as ``oom`` or ``unreadable_reply``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class EditRequest:
    """One edit. ``image`` is RGB or RGBA, upright; ``parameters`` are the run's own (steps, guidance, size, ...)."""

    image: Image.Image
    instruction: str
    seed: int
    key: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ScoreRequest:
    """One edit and one prompt about it. ``source`` is there only if the run compares with the original.

    ``image_sha256`` is of the edit's encoded bytes.
    """

    image: Image.Image
    source: Image.Image | None
    prompt: Prompt
    key: str
    image_sha256: str


@dataclass(frozen=True)
class Scores:
    """The judgements, in the order of the requests, and the batch sizes that the device really worked with."""

    judgements: Sequence[Judgement]
    batch_sizes: Sequence[int] = field(default_factory=tuple)


class Model(abc.ABC):
    """What editors and rewards have in common."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        """Keep what is to be loaded, and where it will work: ``cuda:0`` or ``cpu``. Nothing is read yet."""
        self.spec = spec
        self.device = device

    def prepare(self) -> None:  # noqa: B027 - a model without heavy libraries has nothing to prepare
        """Import what is heavy. Workers do this side by side, and only then wait for their turn to read weights."""

    @abc.abstractmethod
    def load(self, residency: Residency) -> None:
        """Read the weights, straight to ``device`` or into ``host`` memory.

        Raises:
            ModelError: with the reason, in words that a user can act on.
        """

    def place(self, residency: Residency) -> None:  # noqa: B027 - a model without weights has nothing to move
        """Move the weights to ``device`` or ``host``. (For ``disk`` the worker drops the object and loads anew.)"""

    def replace(self, spec: ModelSpec) -> bool:  # noqa: ARG002 - what those that can do it need
        """Take another checkpoint's weights into the place of the loaded ones, wherever those are.

        Returns False, with nothing changed, where that can't be done (another architecture, another dtype); the model
        is then dropped and loaded anew. After True, ``self.spec`` is the new one.

        Raises:
            ModelError: the checkpoint can't be read; the model is not usable any more.
        """
        return False

    def weight_files(self) -> Sequence[str]:
        """The files (absolute paths) whose bytes decide what this model answers; they make its fingerprint.

        Asked before and after loading, to notice files that change meanwhile; only what it says afterwards has to be
        complete.
        """
        return ()

    def size_bytes(self) -> int:
        """The size of the weights, as loaded."""
        return 0

    def versions(self) -> Mapping[str, str]:
        """The libraries that a result depends on, name to version, beside Python's own."""
        return {}


class Editor(Model):
    """Edits one image after the other."""

    @abc.abstractmethod
    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        """Return the edited image, RGB or RGBA.

        Raises:
            ModelError: where the kind of the failure is known; any other exception is recorded as kind ``error``.
        """


class Reward(Model):
    """Scores edits in batches."""

    def prepare_batch(
        self,
        requests: Sequence[ScoreRequest],
        parameters: Mapping[str, Any],  # noqa: ARG002 - what those that prepare need
    ) -> Sequence[ScoreRequest]:
        """Do ahead what needs no device, such as tokenizing; ``score`` gets what this returns.

        It is called from a thread of its own while ``score`` works on another batch, but never while the model is
        loaded, replaced or moved. Where it was not called in time, or raised, it is called once more just before
        ``score``, on the same thread; what it raises then is that batch's failure. There may be two such batches in
        memory beside the one that is scored.

        Return the requests in their order, as a subclass of ``ScoreRequest`` that has what was prepared.
        """
        return requests

    @abc.abstractmethod
    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Judge all requests, a judgement each; one that can't be had says why in ``kind`` and ``message``."""
