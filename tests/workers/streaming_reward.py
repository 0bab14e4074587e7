"""A streaming reward whose judgements end when another one's prompt says so. A worker names it by ``class_path``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from protocol.messages import Judgement, Residency
from workers.interface import ModelError, ScoreRequest, Scores, StreamingReward


class HeldReward(StreamingReward):
    """The user prompt decides: ``wait`` is held, ``done`` is not, ``end NAME`` ends that request (by its system
    prompt) and itself.

    ``slots N`` changes the number of slots, ``error`` and ``raise`` fail, ``hang`` is held and makes no progress.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held: dict[str, Future[Scores]] = {}
        self._slots = int(self.spec.params.get("slots", 4))
        self._progress: Callable[[], None] = lambda: None
        self._closed = threading.Event()

    def load(self, residency: Residency) -> None:
        threading.Thread(target=self._tick, daemon=True).start()

    @property
    def slots(self) -> int:
        return self._slots

    def stream(
        self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Callable[[], None]
    ) -> Future[Scores]:
        prompt = requests[0].prompt
        what, _, name = prompt.user.partition(" ")
        ended: Future[Scores] = Future()
        self._held[prompt.system] = ended
        self._progress = progress
        match what:
            case "hang":
                self._closed.set()
            case "raise":
                raise ZeroDivisionError("by zero")
            case "error":
                ended.set_exception(ModelError("rate_limited", "for good"))
            case "end":
                self._end(name)
                self._end(prompt.system)
            case "slots":
                self._slots = int(name)
                self._end(prompt.system)
            case "done":
                self._end(prompt.system)
        return ended

    def close(self) -> None:
        self._closed.set()
        if folder := os.environ.get("CLOSED_IN"):
            Path(folder, "closed").touch()

    def _end(self, name: str) -> None:
        if self._held[name].set_running_or_notify_cancel():
            self._held[name].set_result(Scores([Judgement(response=name)], (1,)))

    def _tick(self) -> None:
        while not self._closed.wait(0.1):
            self._progress()
