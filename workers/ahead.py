"""Does work ahead of the device: in a thread of its own, so that what hangs there holds up nothing else.

The device takes what is done, waits for what is being done, and does itself what was not begun. So it is the device's
watchdog that notices work that hangs.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


def a_core_is_free() -> bool:
    """Whether the last minute left one. Where all are busy, working ahead makes the device slower: at each call into
    a library the two threads hand the GIL over, and whoever gets it then waits for a core as well."""
    return os.getloadavg()[0] <= len(os.sched_getaffinity(0)) - 1


class Ahead(Generic[Value]):
    """Runs calls one after the other, in the order in which they are submitted."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Value], Callable[[], Value]]] = queue.SimpleQueue()
        # A daemon: what hangs must not keep a process alive that is told to end.
        threading.Thread(target=self._work, name="ahead", daemon=True).start()

    def submit(self, function: Callable[[], Value]) -> Future[Value]:
        """Have the thread call this, unless the future is cancelled before."""
        future: Future[Value] = Future()
        self._calls.put((future, function))
        return future

    def _work(self) -> None:
        while True:
            future, function = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                    future.set_exception(error)
            del future, function


def taken(future: Future[Value] | None) -> Value | None:
    """What was done ahead, waited for if need be; None if it was not begun, and then it will not be.

    Raises:
        Exception: what the call raised.
    """
    return None if future is None or future.cancel() else future.result()
