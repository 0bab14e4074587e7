"""The device thread: the one that runs the model, and does nothing else.

Work is handed to it as calls; the worker's loop is told when an outcome is there. Around every call stands a
watchdog that ends the whole process when nothing has progressed for too long. It works even if a library holds the GIL
(faulthandler's timer is a C thread), and leaves the stacks of all threads in the worker's log.
"""

from __future__ import annotations

import contextlib
import faulthandler
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workers.interface import ModelError
from workers.models.memory import free_memory


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
class Call:
    """Something for the device thread to do; ``timeout`` is in seconds without progress."""

    tag: Any
    function: Callable[[], Any]
    timeout: float


class Watchdog:
    """Ends the process if ``progressed`` is not called for ``timeout`` seconds while armed.

    Arming and disarming each start or join a thread, which on busy cores takes milliseconds: so neither is done for
    every step, nor between calls that follow each other.
    """

    _REARM_SECONDS = 0.5
    _SLACK_SECONDS = 2.0
    """How late a thread may notice on busy cores that it has nothing to do: the GIL may be with a codec for long."""

    def __init__(self) -> None:
        self._timeout = 0.0
        self._armed_at = 0.0

    def arm(self, timeout: float) -> None:
        """Start the clock, or start it again."""
        self._timeout = timeout
        self._armed_at = time.monotonic()
        faulthandler.dump_traceback_later(timeout, exit=True)

    def begin(self, timeout: float) -> None:
        """As ``arm``, but a clock of this length that was just started goes on."""
        if timeout == self._timeout:
            self.progressed()
        else:
            self.arm(timeout)

    def progressed(self) -> None:
        """Start the clock again, unless that was done a moment ago."""
        if self._timeout and time.monotonic() - self._armed_at > self._moment:
            self.arm(self._timeout)

    def pause(self) -> float | None:
        """The call is over. For so many seconds the clock may go on, for the next call; then, or if it is None, it has
        to be disarmed, or has been.
        """
        left = self._timeout - (time.monotonic() - self._armed_at)
        if left - self._moment > max(self._SLACK_SECONDS, self._timeout / 4):
            return self._moment
        self.disarm()
        return None

    def disarm(self) -> None:
        """Stop the clock."""
        self._timeout = 0.0
        faulthandler.cancel_dump_traceback_later()

    @property
    def _moment(self) -> float:
        return min(self._REARM_SECONDS, self._timeout / 4)


class Device:
    """Runs calls one after the other, and keeps the ``Outcome`` of each until it is taken.

    One call may be lined up behind the one that runs: the device goes on with it at once, without a word from the loop,
    for which it would have to wait on busy cores.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        """``ended`` is called in the device thread whenever there is an outcome to be taken."""
        self._ended = ended
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._lined_up: Call | None = None
        self._went_on = False
        self.watchdog = Watchdog()
        # A daemon: a hung device must not keep a process alive that is told to end.
        threading.Thread(target=self._work, name="device", daemon=True).start()

    def submit(self, call: Call) -> None:
        """Have the device thread run this."""
        self._calls.put(call)

    def line_up(self, call: Call) -> None:
        """Have the device go on with this when the call that runs has ended, unless it is withdrawn before."""
        with self._lock:
            self._lined_up = call

    def withdraw(self) -> bool:
        """Nothing is lined up any more. True if the device had gone on with it: an outcome comes before its own."""
        with self._lock:
            went_on, self._went_on, self._lined_up = self._went_on, False, None
        return went_on

    def take(self) -> list[Outcome]:
        """The outcomes that are there, in order."""
        with self._lock:
            taken, self._outcomes = self._outcomes, []
        return taken

    def _work(self) -> None:
        following: Call | None = None
        while True:
            call = following or self._next()
            started = time.time()
            self.watchdog.begin(call.timeout)
            outcome = _attempt(call, started)
            if outcome.error_kind == "oom":
                free_memory()
                self.watchdog.progressed()
                outcome = _attempt(call, started)
            if outcome.error_kind:
                free_memory()
            with self._lock:
                self._outcomes.append(outcome)
                following, self._lined_up = self._lined_up, None
                self._went_on |= following is not None
            self._ended()
            del call, outcome

    def _next(self) -> Call:
        """The next call. While there is none the watchdog must not run."""
        moment = self.watchdog.pause()
        if moment is not None:
            with contextlib.suppress(queue.Empty):
                return self._calls.get(timeout=moment)
            self.watchdog.disarm()
        return self._calls.get()


def _attempt(call: Call, started: float) -> Outcome:
    """Run the call. The exception is dropped before this returns: its traceback would pin the device's memory."""
    try:
        value = call.function()
    except ModelError as error:
        return Outcome(call.tag, started, time.time(), error_kind=error.kind, error=str(error))
    except Exception as error:  # noqa: BLE001 - a user's model may raise anything; the worker lives on
        kind = "oom" if type(error).__name__ in ("OutOfMemoryError", "MemoryError") else "error"
        return Outcome(call.tag, started, time.time(), error_kind=kind, error=f"{type(error).__name__}: {error}"[:4000])
    return Outcome(call.tag, started, time.time(), value=value)
