"""The device thread: the one that runs the model, and does nothing else.

Work is handed to it as calls; the outcome of each is posted back to the worker's loop. Around every call stands a
watchdog that ends the whole process when nothing has progressed for too long. It works even if a library holds the GIL
(faulthandler's timer is a C thread), and leaves the stacks of all threads in the worker's log.
"""

from __future__ import annotations

import faulthandler
import gc
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workers.interface import ModelError


@dataclass(frozen=True)
class Outcome:
    """How a call ended: with a value, or with the kind and message of its failure. Times are epoch seconds."""

    tag: Any
    started: float
    finished: float
    value: Any = None
    error_kind: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Call:
    tag: Any
    function: Callable[[], Any]
    timeout: float


class Watchdog:
    """Ends the process if ``progressed`` is not called for ``timeout`` seconds while armed."""

    _REARM_SECONDS = 0.5

    def __init__(self) -> None:
        self._timeout = 0.0
        self._armed_at = 0.0

    def arm(self, timeout: float) -> None:
        """Start the clock, or start it again."""
        self._timeout = timeout
        self._armed_at = time.monotonic()
        faulthandler.dump_traceback_later(timeout, exit=True)

    def progressed(self) -> None:
        """Start the clock again. Cheap: arming anew costs a thread, so it is not done for every step."""
        if self._timeout and time.monotonic() - self._armed_at > min(self._REARM_SECONDS, self._timeout / 4):
            self.arm(self._timeout)

    def disarm(self) -> None:
        """Stop the clock."""
        self._timeout = 0.0
        faulthandler.cancel_dump_traceback_later()


class Device:
    """Runs calls one after the other and posts an ``Outcome`` for each."""

    def __init__(self, post: Callable[[Outcome], None]) -> None:
        self._post = post
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self.watchdog = Watchdog()
        # A daemon: a hung device must not keep a process alive that is told to end.
        threading.Thread(target=self._work, name="device", daemon=True).start()

    def submit(self, tag: Any, function: Callable[[], Any], timeout: float) -> None:
        """Have the device thread call this; ``timeout`` is in seconds without progress."""
        self._calls.put(_Call(tag, function, timeout))

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            started = time.time()
            self.watchdog.arm(call.timeout)
            outcome = _attempt(call, started)
            if outcome.error_kind == "oom":
                free_memory()
                self.watchdog.progressed()
                outcome = _attempt(call, started)
            self.watchdog.disarm()
            if outcome.error_kind:
                free_memory()
            self._post(outcome)
            del call, outcome


def _attempt(call: _Call, started: float) -> Outcome:
    """Run the call. The exception is dropped before this returns: its traceback would pin the device's memory."""
    try:
        value = call.function()
    except ModelError as error:
        return Outcome(call.tag, started, time.time(), error_kind=error.kind, error=str(error))
    except Exception as error:  # noqa: BLE001 - a user's model may raise anything; the worker lives on
        kind = "oom" if type(error).__name__ in ("OutOfMemoryError", "MemoryError") else "error"
        return Outcome(call.tag, started, time.time(), error_kind=kind, error=f"{type(error).__name__}: {error}"[:4000])
    return Outcome(call.tag, started, time.time(), value=value)


def free_memory() -> None:
    """Collect garbage and give cached device memory back, if torch is there at all."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
