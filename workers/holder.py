"""The model that a worker holds: loading it, moving it, dropping it, asking it. Used by the device thread alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from protocol.messages import Edit, Judgement, LoadedModel, ModelSpec, Phase, Residency, Score, ScoredItem
from protocol.pool import locked
from workers.catalog import make_model
from workers.device import Watchdog, free_memory
from workers.fingerprint import fingerprint
from workers.interface import Editor, EditRequest, Model, ModelError, Progress, Reward
from workers.loaded import FileStamps, describe, stamp, stamps_before_loading
from workers.payloads import ScoreInput, ScoreOutput


class ModelHolder:
    """At most one model, on the device, in host memory, or dropped."""

    def __init__(self, device: str, pool_folder: Path, watchdog: Watchdog) -> None:
        self._device = device
        self._pool_folder = pool_folder
        self._watchdog = watchdog
        self._model: Model | None = None
        self._spec: ModelSpec | None = None
        self._serial = True
        self._timeout = 0.0
        self._stamps: FileStamps = {}

    def load(
        self, spec: ModelSpec, residency: Residency, *, serial: bool, timeout: float, enter: Callable[[Phase], None]
    ) -> LoadedModel:
        """Load this in place of what is there. With ``serial``, one worker of the pool loads at a time.

        ``timeout`` is in seconds; waiting for one's turn does not count. A model of the same class may take the new
        weights into the place of the old ones; else it is dropped first.

        Raises:
            ModelError: it can't be loaded.
        """
        kept, self._model = self._model, None
        self._spec, self._serial, self._timeout, self._stamps = spec, serial, timeout, {}
        model = make_model(spec, self._device)
        if type(kept) is not type(model) or residency == "disk":
            kept = None
        free_memory()
        enter("waiting")
        model.prepare()
        with self._turn():
            enter("loading")
            started = time.monotonic()
            before = stamps_before_loading(model)
            if kept is not None and kept.replace(spec):
                model = kept
                model.place(residency)
            elif residency != "disk":
                kept = None
                free_memory()
                model.load(residency)
            files = model.weight_files()
            stamps = stamp(files)
            # The cache is shared by all pools of this user.
            found = fingerprint(spec, files, self._pool_folder.parent / ".fingerprints.json")
            # What was read, what was hashed and what is there now have to be the same.
            if stamp(files) != stamps or any(before.get(name, now) != now for name, now in stamps.items()):
                text = "its files changed while they were loaded: wait until they are written, then load it again"
                raise ModelError("stale", f"model {spec.name!r}: {text}")
        loaded = describe(model, spec, found, max(0.0, time.monotonic() - started))
        self._stamps = stamps
        self._model = model if residency != "disk" else None
        return loaded

    def place(self, residency: Residency) -> None:
        """Move the weights; from ``disk`` they are read anew."""
        if self._spec is None:
            raise ModelError("not_ready", "no model was loaded yet")
        if residency == "disk":
            self._drop()
        elif self._model is None:
            self._watchdog.arm(self._timeout)
            model = make_model(self._spec, self._device)
            with self._turn():
                self._refuse_if_stale()
                model.load(residency)
                self._refuse_if_stale()
            self._model = model
        else:
            self._model.place(residency)

    def is_stale(self) -> bool:
        """Whether the files that were loaded have changed since. Cheap, and safe from any thread."""
        stamps = self._stamps
        try:
            return stamp(tuple(stamps)) != stamps
        except OSError:
            return True

    def _refuse_if_stale(self) -> None:
        if self.is_stale():
            name = self._spec.name if self._spec else None
            raise ModelError("stale", f"model {name!r}: its files changed since it was loaded: load it again")

    def edit(self, message: Edit, image: Image.Image, progress: Progress) -> Image.Image:
        """Make one edit."""
        if not isinstance(self._model, Editor):
            raise ModelError("not_ready", "no editor is loaded")
        request = EditRequest(image, message.instruction, message.seed, message.key, message.parameters)
        result = self._model.edit(request, progress)
        if not isinstance(result, Image.Image):
            raise ModelError("error", f"the editor gave back a {type(result).__name__}, not an image")
        return result

    def score(self, message: Score, inputs: list[ScoreInput], progress: Progress) -> ScoreOutput:
        """Judge a batch. Items whose image could not be decoded keep that as their judgement."""
        if not isinstance(self._model, Reward):
            raise ModelError("not_ready", "no reward is loaded")
        requests = [request for one in inputs for request in one.requests]
        judgements: list[Judgement] = []
        batch_sizes: list[int] = []
        if requests:
            scores = self._model.score(requests, message.parameters, progress)
            judgements, batch_sizes = list(scores.judgements), list(scores.batch_sizes)
        if len(judgements) != len(requests):
            raise ModelError("error", f"the reward gave back {len(judgements)} judgements for {len(requests)} prompts")
        answers = iter(judgements)
        items = [
            ScoredItem(item=one.item, judgements=one.failed or [next(answers) for _ in one.requests]) for one in inputs
        ]
        return ScoreOutput(items, batch_sizes)

    def _drop(self) -> None:
        self._model = None
        free_memory()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One's turn to read weights. Waiting for it has no limit: the pool's other loads have theirs."""
        if not self._serial:
            self._watchdog.arm(self._timeout)
            yield
            return
        self._watchdog.disarm()
        with locked(self._pool_folder / "load.lock"):
            self._watchdog.arm(self._timeout)
            yield
