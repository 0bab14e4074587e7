"""How other threads reach a loop that waits on sockets: they post calls, and a descriptor turns readable."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
from collections.abc import Callable

Event = Callable[[], None]


class Mailbox:
    """Calls posted from any thread, run by the one thread that owns the loop."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._out.fileno()

    def post(self, event: Event) -> None:
        """Have the loop call this soon. Safe from any thread and from signal handlers."""
        self._events.put(event)
        # Where the pipe is full, the loop has not even read the earlier wake-ups: it will come by.
        with contextlib.suppress(BlockingIOError):
            self._in.send(b"!")

    def wake_on_signals(self) -> None:
        """Have every signal with a Python handler wake the loop at once. For the main thread."""
        signal.set_wakeup_fd(self._in.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Run what was posted, in order."""
        with contextlib.suppress(BlockingIOError):
            self._out.recv(4096)
        while not self._events.empty():
            self._events.get_nowait()()

    def close(self) -> None:
        """Give the descriptors back."""
        with contextlib.suppress(ValueError):  # only the main thread may, and only it can have set one
            signal.set_wakeup_fd(-1)
        self._out.close()
        self._in.close()
