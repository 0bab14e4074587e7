"""The model that a worker holds: loading it, moving it, dropping it, asking it. Used by the device thread alone."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path

from PIL import Image

from protocol.messages import Edit, Judgement, LoadedModel, ModelSpec, Phase, Residency, Score, ScoredItem
from protocol.pool import locked
from workers.catalog import make_model
from workers.device import free_memory
from workers.fingerprint import file_stamps, fingerprint
from workers.interface import Editor, EditRequest, Model, ModelError, Progress, Reward
from workers.payloads import ScoreInput, ScoreOutput


def _wire_versions() -> dict[str, str]:
    """The packages of which the scheduler's environment has its own, and which both have to agree on."""
    return {name: metadata.version(name) for name in ("pyzmq", "msgpack", "msgspec")}


class ModelHolder:
    """At most one model, on the device, in host memory, or dropped."""

    def __init__(self, device: str, pool_folder: Path) -> None:
        self._device = device
        self._pool_folder = pool_folder
        self._model: Model | None = None
        self._spec: ModelSpec | None = None
        self._serial = True
        self._files: Sequence[str] = ()
        self._stamps: Sequence[str] = ()

    def load(
        self, spec: ModelSpec, residency: Residency, *, serial: bool, enter: Callable[[Phase], None]
    ) -> LoadedModel:
        """Load this in place of what is there. With ``serial``, one worker of the pool loads at a time.

        A model of the same class may take the new weights into the place of the old ones; else it is dropped first.

        Raises:
            ModelError: it can't be loaded.
        """
        kept, self._model = self._model, None
        self._spec, self._serial, self._files, self._stamps = spec, serial, (), ()
        model = make_model(spec, self._device)
        if type(kept) is not type(model) or residency == "disk":
            kept = None
        free_memory()
        enter("waiting")
        model.prepare()
        with self._turn():
            enter("loading")
            started = time.time()
            if kept is not None and kept.replace(spec):
                model = kept
                model.place(residency)
            elif residency != "disk":
                kept = None
                free_memory()
                model.load(residency)
            self._files = model.weight_files()
            self._stamps = file_stamps(self._files)
            # The cache is shared by all pools of this user.
            found = fingerprint(spec, self._files, self._pool_folder.parent / ".fingerprints.json")
        self._model = model if residency != "disk" else None
        return LoadedModel(
            spec=spec,
            fingerprint=found,
            size_bytes=model.size_bytes(),
            load_seconds=time.time() - started,
            versions={"python": platform.python_version(), **_wire_versions(), **model.versions()},
        )

    def place(self, residency: Residency) -> None:
        """Move the weights; from ``disk`` they are read anew."""
        if self._spec is None:
            raise ModelError("not_ready", "no model was loaded yet")
        if residency == "disk":
            self._drop()
        elif self._model is None:
            model = make_model(self._spec, self._device)
            with self._turn():
                model.load(residency)
            self._model = model
        else:
            self._model.place(residency)

    def is_stale(self) -> bool:
        """Whether the files that were loaded have changed since. Cheap, and safe from any thread."""
        files, stamps = self._files, self._stamps
        try:
            return file_stamps(files) != list(stamps)
        except OSError:
            return True

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

    def _turn(self) -> AbstractContextManager[None]:
        return locked(self._pool_folder / "load.lock") if self._serial else nullcontext()
