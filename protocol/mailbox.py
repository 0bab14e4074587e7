"""Lets other threads wake a loop that waits on sockets: they post calls, and a descriptor becomes readable."""

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
        """The descriptor to poll for input."""
        return self._out.fileno()

    def post(self, event: Event) -> None:
        """Have the loop call this soon. Safe from any thread and from signal handlers."""
        self._events.put(event)
        self._wake()

    def _wake(self) -> None:
        # If the pipe is full, the loop will read the earlier wake-ups. If it is closed, the loop has ended.
        with contextlib.suppress(OSError):
            self._in.send(b"!")

    def wake_on_signals(self) -> None:
        """Have every signal with a Python handler wake the loop at once. Call this in the main thread."""
        signal.set_wakeup_fd(self._in.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Run the calls posted so far, in order. Calls posted meanwhile wake the loop again.

        If a call raises, the exception propagates; the calls after it stay queued and wake the loop.
        """
        with contextlib.suppress(BlockingIOError):
            self._out.recv(4096)
        try:
            # Not until the queue is empty: events that post events must not keep the loop from its sockets.
            for _ in range(self._events.qsize()):
                self._events.get_nowait()()
        finally:
            if not self._events.empty():
                self._wake()

    def close(self) -> None:
        """Close the descriptors."""
        with contextlib.suppress(ValueError, OSError):  # fails outside the main thread, which alone can have set one
            current = signal.set_wakeup_fd(-1)
            if current != self._in.fileno():
                signal.set_wakeup_fd(current, warn_on_full_buffer=False)
        self._out.close()
        self._in.close()
