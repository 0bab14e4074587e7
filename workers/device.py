"""The device thread, which runs the model and does nothing else.

It gets its work as calls, and notifies the worker's loop of each outcome. A watchdog ends the whole process when a call
makes no progress for too long. It works even if a library holds the GIL (faulthandler's timer is a C thread), and
writes the stacks of all threads to the worker's log.

A device that is broken, such as by an illegal memory access, ends the process as well: every further call would fail.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from workers.interface import ModelError
from workers.models.device_errors import broken_device, first_line, is_out_of_memory
from workers.models.device_memory import free_memory

log = logging.getLogger("warmbench.worker")

_END_SECONDS = 15.0
"""How long the process may take to end once its device is broken."""


@dataclass(frozen=True)
class Outcome:
    """A call's value, or the kind and message of its failure. Times are seconds since the epoch."""

    tag: Any
    started: float
    finished: float
    value: Any = None
    error_kind: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Call:
    """A call for the device thread; ``timeout`` is in seconds without progress."""

    tag: Any
    function: Callable[[], Any]
    timeout: float


class _DeviceBrokenError(Exception):
    """The device is broken, and why."""


class Watchdog:
    """Ends the process if ``progressed`` is not called for ``timeout`` seconds while armed. Safe from any thread.

    Arming starts a thread and disarming joins one, which takes milliseconds on busy cores. So neither is done for every
    step, or between calls that follow each other.
    """

    _REARM_SECONDS = 0.5
    _SLACK_SECONDS = 2.0
    """How late a thread may notice on busy cores that it is idle: a codec may hold the GIL for long."""

    def __init__(self) -> None:
        # Progress that one thread reports must not start the clock again that another one has just stopped.
        self._lock = threading.RLock()
        self._timeout = 0.0
        self._armed_at = 0.0
        self._in_call = False
        self._between_calls = 0.0

    def arm(self, timeout: float) -> None:
        """Start or restart the clock."""
        with self._lock:
            self._timeout = timeout
            self._armed_at = time.monotonic()
            faulthandler.dump_traceback_later(timeout, exit=True)

    def begin(self, timeout: float) -> None:
        """Like ``arm``, but a clock with the same timeout that was just started keeps running."""
        with self._lock:
            self._in_call = True
            if timeout == self._timeout:
                self.progressed()
            else:
                self.arm(timeout)

    def progressed(self) -> None:
        """Restart the clock, unless that was done a moment ago."""
        with self._lock:
            if self._timeout and time.monotonic() - self._armed_at > self._moment:
                self.arm(self._timeout)

    def pause(self) -> float | None:
        """The call has ended. Return for how many seconds the clock may keep running for the next call, after which it
        has to be disarmed; None if it was disarmed now.
        """
        with self._lock:
            self._in_call = False
            left = self._timeout - (time.monotonic() - self._armed_at)
            if left - self._moment > max(self._SLACK_SECONDS, self._timeout / 4):
                return self._moment
            self.disarm()
            return None

    def disarm(self) -> None:
        """Stop the clock, unless there is work beside the device's calls."""
        with self._lock:
            if self._between_calls:
                self.arm(self._between_calls)
            else:
                self._timeout = 0.0
                faulthandler.cancel_dump_traceback_later()

    def watch_between_calls(self, timeout: float) -> None:
        """Work begins that is no call of the device; with 0, it has ended."""
        with self._lock:
            self._between_calls = timeout
            if not self._in_call:
                self.disarm()

    @property
    def _moment(self) -> float:
        return min(self._REARM_SECONDS, self._timeout / 4)


class Device:
    """Runs calls one after the other, and keeps the ``Outcome`` of each until the loop takes it.

    One call may be lined up behind the running one: the device continues with it without waiting for the loop, which
    would take long on busy cores.
    """

    def __init__(self, ended: Callable[[], None], broken: Callable[[str], None]) -> None:
        """Both are called in the device thread: ``ended`` after each outcome, ``broken`` with the reason when the
        device is broken. Then nothing runs any more, and the process ends soon, even if ``broken`` does nothing.
        """
        self._ended = ended
        self._broken = broken
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._lined_up: Call | None = None
        self._continued = False
        self.watchdog = Watchdog()
        # A daemon: a hung device must not keep a process alive that has to end.
        threading.Thread(target=self._work, name="device", daemon=True).start()

    def submit(self, call: Call) -> None:
        """Have the device thread run this."""
        self._calls.put(call)

    def line_up(self, call: Call) -> None:
        """Have the device continue with this when the running call has ended, unless it is withdrawn first."""
        with self._lock:
            self._lined_up = call

    def withdraw(self) -> bool:
        """Withdraw the call that is lined up. True if the device runs it already, and an outcome waits."""
        with self._lock:
            continued, self._continued, self._lined_up = self._continued, False, None
        return continued

    def take(self) -> list[Outcome]:
        """Return and forget the outcomes, in order."""
        with self._lock:
            taken, self._outcomes = self._outcomes, []
        return taken

    def _work(self) -> None:
        try:
            self._run_calls()
        except BaseException as error:  # whatever ends this thread has to end the process
            reason = str(error) if isinstance(error, _DeviceBrokenError) else first_line(error)
            log.critical("the device is broken, so this process ends: %s", reason, exc_info=error)
        try:
            self.watchdog.arm(_END_SECONDS)
        finally:
            self._broken(reason)

    def _run_calls(self) -> NoReturn:
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
                self._continued |= following is not None
            self._ended()
            del call, outcome

    def _next(self) -> Call:
        """Wait for the next call. The watchdog must not run meanwhile."""
        moment = self.watchdog.pause()
        if moment is not None:
            with contextlib.suppress(queue.Empty):
                return self._calls.get(timeout=moment)
            self.watchdog.disarm()
        return self._calls.get()


def _attempt(call: Call, started: float) -> Outcome:
    """Run the call. The exception is dropped before this returns: its traceback would hold the device's memory.

    Raises:
        _DeviceBrokenError: the call broke the device, or found it broken.
    """
    try:
        value = call.function()
    except BaseException as error:  # a user's model may raise anything, even SystemExit; the worker lives on
        reason = broken_device(error)
        if reason is not None:
            raise _DeviceBrokenError(reason) from error
        kind, text = failure_of(error)
        return Outcome(call.tag, started, time.time(), error_kind=kind, error=text)
    return Outcome(call.tag, started, time.time(), value=value)


def failure_of(error: BaseException) -> tuple[str, str]:
    """The kind of the failure, and its message in one line, for logs and tables."""
    if isinstance(error, ModelError):
        return error.kind, " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return "error", f"SystemExit: the model called sys.exit({error.code!r:.100})"
    kind = "oom" if is_out_of_memory(error) else "error"
    return kind, " ".join(": ".join(filter(None, (type(error).__name__, str(error)))).split())[:4000]
