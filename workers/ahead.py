"""A thread that prepares work before the device asks for it, so that a call that hangs there blocks nothing else.

The device takes finished results, waits for a call in progress, and makes the calls itself that have not started. So
the device's watchdog notices a call that hangs.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


def has_free_core() -> bool:
    """Whether a core was free in the last minute. If all are busy, working ahead slows the device down: at each call
    into a library the two threads hand over the GIL, and the one that gets it then waits for a core as well."""
    return os.getloadavg()[0] <= len(os.sched_getaffinity(0)) - 1


class AheadThread(Generic[Value]):
    """Makes calls one after the other, in the order in which they are submitted."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Value], Callable[[], Value]]] = queue.SimpleQueue()
        # A daemon: a call that hangs must not keep a process alive that has to end.
        threading.Thread(target=self._work, name="ahead", daemon=True).start()

    def submit(self, function: Callable[[], Value]) -> Future[Value]:
        """Have the thread call this, unless the future is cancelled first."""
        future: Future[Value] = Future()
        self._calls.put((future, function))
        return future

    def _work(self) -> None:
        while True:
            future, function = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - raised where the result is needed
                    future.set_exception(error)
            del future, function


def result_or_none(future: Future[Value] | None) -> Value | None:
    """The call's result, waiting if it is in progress; None if it had not started, and now never will.

    Raises:
        Exception: what the call raised.
    """
    return None if future is None or future.cancel() else future.result()
