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
        self._wake()

    def _wake(self) -> None:
        # Where the pipe is full, the loop has not even read the earlier wake-ups: it will come by. Where it is closed,
        # the loop is over, and a thread or signal that is late has nobody left to tell.
        with contextlib.suppress(OSError):
            self._in.send(b"!")

    def wake_on_signals(self) -> None:
        """Have every signal with a Python handler wake the loop at once. For the main thread."""
        signal.set_wakeup_fd(self._in.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Run what was posted until now, in order; what comes meanwhile wakes the loop again.

        An exception of an event's goes through; the events behind it stay, and wake the loop.
        """
        with contextlib.suppress(BlockingIOError):
            self._out.recv(4096)
        try:
            # Not until it is empty: events that post events must not keep the loop from its sockets.
            for _ in range(self._events.qsize()):
                self._events.get_nowait()()
        finally:
            if not self._events.empty():
                self._wake()

    def close(self) -> None:
        """Give the descriptors back."""
        with contextlib.suppress(ValueError, OSError):  # only the main thread may, and only it can have set one
            current = signal.set_wakeup_fd(-1)
            if current != self._in.fileno():
                signal.set_wakeup_fd(current, warn_on_full_buffer=False)
        self._out.close()
        self._in.close()
