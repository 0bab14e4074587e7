"""The model that a worker holds: load it, move it, drop it, use it.

Only the device thread uses it, with three exceptions: another thread prepares batches ahead (meanwhile the model is
neither moved nor dropped), the worker's loop has a streaming reward begin to judge, and any thread may ask whether the
model is stale.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from PIL import Image

from protocol.messages import Edit, Judgement, LoadedModel, ModelSpec, Phase, Residency, Score, ScoredItem
from workers.device import Watchdog
from workers.file_hashes import file_stamps, read_ahead
from workers.fingerprint import fingerprint
from workers.interface import (
    Editor,
    EditRequest,
    Model,
    ModelError,
    Progress,
    Reward,
    ScoreRequest,
    Scores,
    StreamingReward,
    WorkerContext,
)
from workers.load_turns import load_turn
from workers.loaded import describe, stamps_before_loading
from workers.models.device_memory import free_memory, free_model_memory, imports
from workers.models.registry import make_model
from workers.payloads import PreparedBatch, ScoreInput, ScoreOutput

_log = logging.getLogger(__name__)


class ModelHolder:
    """At most one model, on the device, in host memory, or dropped."""

    def __init__(self, device: str, watchdog: Watchdog, context: WorkerContext) -> None:
        """``context`` is that of every model; its ``progressed`` is the watchdog's."""
        self._device = device
        self._watchdog = watchdog
        self._context = replace(context, progressed=watchdog.progressed)
        self._model: Model | None = None
        self._loads = 0
        self._model_lock = threading.Lock()
        self._spec: ModelSpec | None = None
        self._serial = True
        self._timeout = 0.0
        self._stamps: dict[str, str] = {}

    def load(
        self, spec: ModelSpec, residency: Residency, *, serial: bool, timeout: float, enter: Callable[[Phase], None]
    ) -> LoadedModel:
        """Load this model instead of the current one. With ``serial``, only as many workers of the machine load at a
        time as its memory has room for.

        ``timeout`` is in seconds; waiting for the turn does not count. A model of the same class may replace its
        weights in place; otherwise the old one is dropped first.

        Raises:
            ModelError: it cannot be loaded.
        """
        with self._model_lock:
            kept, self._model = self._model, None
            self._loads += 1  # even if the object stays: its prepared batches may not fit the new weights
        self._spec, self._serial, self._timeout, self._stamps = spec, serial, timeout, {}
        model = self._make(spec)
        if type(kept) is not type(model) or residency == "disk" or isinstance(kept, StreamingReward):
            _close(kept)
            kept = None
        if kept is not None:
            free_memory()
        elif self._loads > 1:
            free_model_memory()
        enter("waiting")
        with imports():
            model.prepare()
        if kept is None:
            gc.freeze()  # it has read no weights yet
        self._fetch(model, enter)
        with self._load_turn(model, residency):
            if residency != "disk":
                enter("loading")
            started = time.monotonic()
            before = stamps_before_loading(model)
            if kept is not None and kept.replace(spec):
                model = kept
                model.place(residency)
            elif residency != "disk":
                if kept is not None:
                    _close(kept)
                    kept = None
                    free_model_memory()
                _read(model, residency)
        files = model.weight_files()
        if residency == "host":
            read_ahead(model.mapped_files(), self._watchdog.progressed)
        stamps = file_stamps(files)
        # The cache is shared by all pools of this user.
        cache = self._context.folder.parent / ".fingerprints.json"
        digest = fingerprint(spec, files, cache, self._watchdog.progressed, revision=model.revision())
        # The files must not have changed between reading, hashing and now.
        if file_stamps(files) != stamps or any(before.get(name, now) != now for name, now in stamps.items()):
            text = "its files changed while they were loaded: wait until they are written, then load it again"
            raise ModelError("stale", f"model {spec.name!r}: {text}")
        loaded = describe(model, spec, digest, max(0.0, time.monotonic() - started), residency)
        self._stamps = stamps
        self._model = model if residency != "disk" else None
        return loaded

    def place(self, residency: Residency) -> None:
        """Move the weights; from ``disk`` they are read again."""
        if self._spec is None:
            raise ModelError("not_ready", "no model has been loaded yet")
        if residency == "disk":
            self.close()
            free_model_memory()
        elif self._model is None:
            self._watchdog.arm(self._timeout)
            model = self._make(self._spec)
            with self._load_turn(model, residency):
                self._refuse_if_stale()
                _read(model, residency)
                self._refuse_if_stale()
                if residency == "host":
                    read_ahead(model.mapped_files(), self._watchdog.progressed)
            self._loads += 1
            self._model = model
        elif residency == "device":
            # The pages may have left memory, and are read from the files again.
            self._watchdog.arm(self._timeout)
            self._refuse_if_stale()
            with self._model_lock:
                self._model.place(residency)
                if self.is_stale():
                    self._model = None  # it may have read new weights, which must not run as the old ones
            self._refuse_if_stale()
        else:
            with self._model_lock:
                self._model.place(residency)

    @property
    def has_to_close(self) -> bool:
        """Whether the model has something to stop when the worker ends."""
        return self._model is not None and type(self._model).close is not Model.close

    def close(self) -> None:
        """Drop the model."""
        with self._model_lock:
            dropped, self._model = self._model, None
        _close(dropped)

    @property
    def slots(self) -> int | None:
        """How many jobs a streaming reward takes at the same time; None: the device runs one at a time."""
        return max(1, self._model.slots) if isinstance(self._model, StreamingReward) else None

    @property
    def takes_files(self) -> bool:
        """Whether the reward takes the files of images."""
        return isinstance(self._model, StreamingReward) and self._model.takes_files

    def is_stale(self) -> bool:
        """Whether the loaded files have changed since. Cheap, and safe from any thread."""
        stamps = self._stamps
        try:
            return file_stamps(stamps) != stamps
        except OSError:
            return True

    def _refuse_if_stale(self) -> None:
        if self.is_stale():
            name = self._spec.name if self._spec else None
            raise ModelError("stale", f"model {name!r}: its files changed since it was loaded: load it again")

    def edit(self, message: Edit, images: Sequence[Image.Image], progress: Progress) -> Image.Image:
        """Make one edit of these source images."""
        if not isinstance(self._model, Editor):
            raise ModelError("not_ready", "no editor is loaded")
        request = EditRequest(
            images[0], message.instruction, message.seed, message.key, message.parameters, images=images
        )
        result = self._model.edit(request, progress)
        if not isinstance(result, Image.Image):
            raise ModelError("error", f"the editor returned a {type(result).__name__}, not an image")
        return result

    def prepare_batch(self, message: Score, inputs: list[ScoreInput]) -> PreparedBatch | None:
        """Have the model prepare a batch while the device scores another one. Safe from any thread.

        None if there is no model, or it raises: then the device tries again, and reports what is wrong.
        """
        requests = _requests(inputs)
        with self._model_lock:
            if not isinstance(self._model, Reward) or not requests:
                return None
            try:
                return PreparedBatch(self._model.prepare_batch(requests, message.parameters), self._loads)
            except BaseException as error:  # noqa: BLE001 - a user's model may raise anything, even SystemExit
                _log.debug("%s could not be prepared ahead: %s", message.job, error)
                return None

    def score(
        self, message: Score, inputs: list[ScoreInput], prepared: PreparedBatch | None, progress: Progress
    ) -> ScoreOutput:
        """Judge a batch. Items whose image could not be decoded keep that as their judgement.

        A batch that was prepared by an earlier model is prepared again.
        """
        if not isinstance(self._model, Reward):
            raise ModelError("not_ready", "no reward is loaded")
        requests = _requests(inputs)
        judgements: list[Judgement] = []
        batch_sizes: list[int] = []
        if requests:
            if prepared is None or prepared.load != self._loads:
                prepared = PreparedBatch(self._model.prepare_batch(requests, message.parameters), self._loads)
            scores = self._model.score(prepared.requests, message.parameters, progress)
            judgements, batch_sizes = list(scores.judgements), list(scores.batch_sizes)
        return output_of(layout_of(inputs), judgements, batch_sizes)

    def stream(self, message: Score, inputs: list[ScoreInput], progress: Callable[[], None]) -> Future[Scores]:
        """Have a streaming reward begin to judge a batch. What it raises is the future's exception.

        ``layout_of`` and ``output_of`` make the output of what it gives.
        """
        requests, ended = _requests(inputs), Future[Scores]()
        try:
            if not isinstance(self._model, StreamingReward):
                raise ModelError("not_ready", "no streaming reward is loaded")
            if requests:
                return self._model.stream(requests, message.parameters, progress)
            ended.set_result(Scores(()))
        except BaseException as error:  # noqa: BLE001 - a user's model may raise anything, even SystemExit
            ended.set_exception(error)
        return ended

    def _make(self, spec: ModelSpec) -> Model:
        model = make_model(spec, self._device)
        model.context = self._context
        return model

    def _fetch(self, model: Model, enter: Callable[[Phase], None]) -> None:
        """Have the model download what is missing. Each byte that arrives gives it the whole time again."""
        lock, entered = threading.Lock(), set[Phase]()  # any thread of the model's may report

        def progress(doing: Literal["downloading", "converting"] = "downloading", /) -> None:
            with lock:
                self._watchdog.progressed()
                if doing not in entered:
                    entered.add(doing)
                    enter(doing)

        self._watchdog.arm(self._timeout)
        model.fetch(progress)
        if entered:
            enter("waiting")

    @contextmanager
    def _load_turn(self, model: Model, residency: Residency) -> Iterator[None]:
        """Wait for room in host memory. Waiting has no timeout: the loads that are waited for have theirs."""
        needed = model.load_bytes(residency) if self._serial and residency != "disk" else 0
        self._watchdog.disarm()
        # All pools of this user take part.
        with load_turn(self._context.folder.parent / ".loads", needed):
            self._watchdog.arm(self._timeout)
            yield


def _requests(inputs: list[ScoreInput]) -> list[ScoreRequest]:
    return [request for item in inputs for request in item.requests]


Layout = Sequence[tuple[str, int, list[Judgement]]]
"""Of each item of a batch: its name, how many requests there are, and what has failed already."""


def layout_of(inputs: list[ScoreInput]) -> Layout:
    """Where the judgements of a batch belong."""
    return [(item.item, len(item.requests), item.failed) for item in inputs]


def output_of(layout: Layout, judgements: Sequence[Judgement], batch_sizes: Sequence[int]) -> ScoreOutput:
    """The judgements by item. Items whose image could not be decoded keep that as their judgement.

    Raises:
        ModelError: they are not as many as there were requests.
    """
    expected = sum(number for _, number, _ in layout)
    if len(judgements) != expected:
        raise ModelError("error", f"judgements: the reward gave {len(judgements)}, expected {expected}")
    rest = iter(judgements)
    items = [
        ScoredItem(item=item, judgements=failed or [next(rest) for _ in range(number)])
        for item, number, failed in layout
    ]
    return ScoreOutput(items, list(batch_sizes))


def _read(model: Model, residency: Residency) -> None:
    try:
        model.load(residency)
    except BaseException:
        _close(model)
        raise


def _close(model: Model | None) -> None:
    if model is not None:
        try:
            model.close()
        except Exception:  # noqa: BLE001 - a user's model may raise anything, and it is dropped all the same
            _log.exception("%s could not be closed", type(model).__name__)
