"""Sends runs to trackers, each in a process of its own that has a deadline: no tracker fails or delays a run."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import IO, Any

import msgspec
import psutil
from msgspec import Struct

from scheduler.base.text import format_duration, one_line
from scheduler.trackers.declaration import TrackedRun

log = logging.getLogger("warmbench")

_LAST_WORDS = 2000
"""Bytes of what a process printed last that may hold the reason why it ended."""


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


@dataclass(frozen=True)
class _Started:
    """A process that sends, ``until`` its deadline by the monotonic clock."""

    order: Sending
    process: subprocess.Popen[bytes]
    printed: IO[bytes]
    until: float


class Sender:
    """Starts the processes and waits for their ends. The runs of one tracker are sent one after the other."""

    def __init__(self, *, secrets: Collection[str] = ()) -> None:
        """``secrets`` are variables of the environment that trackers do not get."""
        self._secrets = frozenset(secrets)
        self._started: dict[str, _Started] = {}

    def send(self, order: Sending) -> None:
        """Start to send, and return. Waits for what the same tracker still sends, at most until its deadline.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM while it waited; that process has ended.
        """
        self._finish(order.tracker)
        environment = {name: value for name, value in os.environ.items() if name not in self._secrets}
        printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        try:
            with tempfile.TemporaryFile() as given:
                given.write(msgspec.json.encode(order))
                given.seek(0)
                process = subprocess.Popen(
                    [sys.executable, "-m", "scheduler.trackers"],
                    env={**environment, "PYTHONIOENCODING": "utf-8:backslashreplace"},
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=printed,
                    start_new_session=True,  # Ctrl-C is for the run
                )
        except OSError as error:
            printed.close()
            _not_sent(order, str(error))
            return
        self._started[order.tracker] = _Started(order, process, printed, time.monotonic() + order.timeout_seconds)

    def close(self) -> None:
        """Wait until everything is sent, or its time is over.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; all processes have ended.
        """
        try:
            for tracker in list(self._started):
                self._finish(tracker, say_so=True)
        finally:
            for started in self._started.values():
                _end(started)
            self._started.clear()

    def _finish(self, tracker: str, *, say_so: bool = False) -> None:
        """Wait for the process of this tracker, end it at its deadline or if it is interrupted, and log the outcome."""
        started = self._started.pop(tracker, None)
        if started is None:
            return
        process, order = started.process, started.order
        left = max(started.until - time.monotonic(), 0.0)
        if say_so and process.poll() is None:
            log.info("Sending the results to %s, for at most %s", tracker, format_duration(left))
        try:
            process.wait(left)
            _log_outcome(started)
        except subprocess.TimeoutExpired:
            _not_sent(order, f"it took longer than {format_duration(order.timeout_seconds)}")
        except BaseException:
            _not_sent(order, "interrupted")
            raise
        finally:
            _end(started)


def _end(started: _Started) -> None:
    """End a process that still runs with all that it has started, such as a service in a session of its own."""
    process = started.process
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    started.printed.close()


def _log_outcome(started: _Started) -> None:
    order, pipe = started.order, started.process.stdout
    try:
        sent = msgspec.json.decode(pipe.read() if pipe is not None else b"", type=Sent)
    except msgspec.MsgspecError:
        started.printed.seek(0, os.SEEK_END)
        started.printed.seek(max(started.printed.tell() - _LAST_WORDS, 0))
        lines = started.printed.read().decode("utf-8", "replace").split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), "")
        code = started.process.returncode
        _not_sent(order, f"its process ended with code {code}{': ' if reason else ''}{one_line(reason, 400)}")
        return
    if sent.problem is not None:
        _not_sent(order, sent.problem)
    else:
        log.info("Sent to %s%s", order.tracker, f": {one_line(sent.where, 400)}" if sent.where else "")


def _not_sent(order: Sending, reason: str) -> None:
    log.warning("Not sent to %s: %s. The run does not depend on it", order.tracker, reason)
