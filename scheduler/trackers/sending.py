"""Sends runs to trackers, each in a process of its own that has a deadline: no tracker fails or delays a run.

A thread for each tracker starts these processes and waits for them, so that the next run can begin meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from typing import IO, Any

import msgspec
import psutil
from msgspec import Struct

from scheduler.base.text import format_duration, one_line
from scheduler.trackers.declaration import TrackedRun

log = logging.getLogger("warmbench")

_SECRET_NAME = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL", re.IGNORECASE)
_LAST_WORDS = 2000
"""Bytes of what a process printed last that may hold the reason why it ended."""
_NO_TIME_LEFT = "too many results were waiting"
"""Why a run was not begun to be sent when a line's time was over."""
_SILENT_SECONDS = 0.5
"""How long a run waits at its end before it says what for."""


class Sending(Struct, frozen=True, kw_only=True):
    """What to send, and to which tracker with which keys of its section."""

    tracker: str
    options: Mapping[str, Any]
    timeout_seconds: float
    run: TrackedRun


class Sent(Struct, frozen=True, kw_only=True):
    """Where the run can be seen, if that is known, or why it was not sent."""

    where: str | None = None
    problem: str | None = None


class Sender:
    """Sends in the background, the runs of one tracker one after the other."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self.failed = False
        """Whether anything was not sent, once it is closed."""

    def send(self, order: Sending, *, secrets: Collection[str] = ()) -> None:
        """Begin to send. ``secrets`` are variables of the environment that the tracker does not get."""
        environment = {name: value for name, value in os.environ.items() if name not in secrets}
        self._lines.setdefault(order.tracker, _Line(order.tracker)).add(order, environment)

    def close(self) -> None:
        """Wait until everything is sent; what takes longer than the time for one run is not sent.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; all processes have ended.
        """
        lines, reason = list(self._lines.values()), "interrupted"
        self._lines = {}
        try:
            for line in lines:
                line.finish()
            for line in lines:
                line.wait()
            reason = _NO_TIME_LEFT
        finally:
            for line in lines:
                line.stop(reason)
                self.failed |= line.failed


class _Line:
    """The thread that sends the runs of one tracker."""

    def __init__(self, tracker: str) -> None:
        self._orders: queue.SimpleQueue[tuple[Sending, dict[str, str]] | None] = queue.SimpleQueue()
        self._tracker = tracker
        self._seconds = 0.0
        self.failed = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: str | None = None
        # `Thread.join` takes a thread for ended once Ctrl-C has interrupted it.
        self._done = threading.Event()
        threading.Thread(target=self._work, name=f"tracker-{tracker}", daemon=True).start()

    def add(self, order: Sending, environment: dict[str, str]) -> None:
        self._seconds = order.timeout_seconds
        self._orders.put((order, environment))

    def finish(self) -> None:
        """Nothing more comes."""
        self._orders.put(None)
        self._until = time.monotonic() + self._seconds

    def wait(self) -> None:
        """Wait until everything is sent, or the time is over."""
        left = max(self._until - time.monotonic(), 0.0)
        if not self._done.wait(min(left, _SILENT_SECONDS)):
            log.info("Waiting for %s, at most %s", self._tracker, format_duration(left))
            self._done.wait(max(self._until - time.monotonic(), 0.0))

    def stop(self, reason: str) -> None:
        """End the process, if there is one, and send nothing more."""
        with self._lock:
            self._stopped = reason
            if self._process is not None:
                _end(self._process)
        self._done.wait()

    def _reason(self) -> str | None:
        """Why nothing more is sent, if so."""
        return self._stopped

    def _work(self) -> None:
        try:
            while (item := self._orders.get()) is not None:
                self._handle(*item)
        finally:
            self._done.set()

    def _handle(self, order: Sending, environment: dict[str, str]) -> None:
        """Send a run and log what became of it."""
        problem, where = self._reason(), None
        if problem is None:
            try:
                problem, where = self._send(order, environment)
            except OSError as error:
                problem = str(error)
        title = one_line(order.run.title, 80)
        if problem is not None:
            self.failed = True
            log.warning("Not sent to %s: %s (%s). The results are in its report", order.tracker, title, problem)
        else:
            log.info("Sent to %s: %s%s", order.tracker, title, f", {one_line(where, 400)}" if where else "")

    def _send(self, order: Sending, environment: dict[str, str]) -> tuple[str | None, str | None]:
        """Return why the run was not sent, or None, and where it can be seen. Raises ``OSError``."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
            given.write(msgspec.json.encode(order))
            given.seek(0)
            with self._lock:
                if (reason := self._reason()) is not None:
                    return reason, None
                self._process = process = subprocess.Popen(
                    [sys.executable, "-m", "scheduler.trackers"],
                    env={**environment, "PYTHONIOENCODING": "utf-8:backslashreplace"},
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=printed,
                    start_new_session=True,  # Ctrl-C is for the run
                )
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            with process.stdout as answer:
                started, reason = time.monotonic(), None
                try:
                    process.wait(order.timeout_seconds)
                except subprocess.TimeoutExpired:
                    reason = _NO_TIME_LEFT
                finally:
                    took = f"it took longer than {format_duration(time.monotonic() - started)}"
                    with self._lock:
                        _end(process)
                        self._process = None
                if process.returncode < 0:
                    reason = reason or self._reason()
                if reason == _NO_TIME_LEFT:
                    return took + _last_words(printed, environment), None
                if reason is not None:
                    return reason, None
                try:
                    sent = msgspec.json.decode(answer.read(), type=Sent)
                except msgspec.MsgspecError:
                    ended = f"its process ended with code {process.returncode}"
                    return ended + _last_words(printed, environment), None
                return sent.problem, sent.where


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs with all that it has started, such as a service in a session of its own."""
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
        process.kill()
        process.wait()


def _last_words(printed: IO[bytes], environment: Mapping[str, str]) -> str:
    """Return the last line that a process has printed, to be appended to what became of it."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(size - _LAST_WORDS, 0))
    lines = [line for line in printed.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {without_secrets(lines[-1], environment)}" if lines else ""


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return a line without passwords in addresses and without the values of variables that look secret."""
    for name, value in environment.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return one_line(re.sub(r"//[^/@\s]*@", "//", text), 600)
