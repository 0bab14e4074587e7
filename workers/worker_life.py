"""One process of a worker, as its launcher knows it: from its start to its death."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from protocol.sockets import Link
from workers.life_socket import read_last_words
from workers.placers.declaration import Placed
from workers.probe import Probe

SILENT = -1000
"""In place of the exit code of a process elsewhere that is not heard: it may live, and be heard again."""
END_SECONDS = 10.0
"""How long an idle worker may take to end."""


@dataclass
class Life:
    """One process of the worker, from its start to its death.

    ``placed`` is the process as its placer knows it, None if somebody else started it. ``pid`` is the worker's own once
    it has introduced itself, ``refusal`` why it refused the launcher's Hello. Over TCP, ``dismiss`` tells it to end,
    ``heard_at`` is when it was last heard, ``has_left`` whether it has said goodbye, and ``device`` names that of a
    worker elsewhere.
    """

    placed: Placed | None
    introduction_deadline: float
    pid: int = 0
    socket: socket.socket | None = None
    link: Link | None = None
    dismiss: Callable[[], object] | None = None
    heard_at: float | None = None
    host: str | None = None
    device: str | None = None
    server_key: str | None = None
    last_words: str | None = None
    has_left: bool = False
    last_heartbeat: float = 0.0
    kill_at: float | None = None
    welcome: bool = False
    refusal: str | None = None
    probe: Probe | None = None

    def exit_code(self, dead_after_seconds: float, orphan_seconds: float, away: float) -> int | None:
        """Its exit code if it has ended. One that is not heard over TCP counts as dead (``SILENT``), except for the
        time ``away`` since the last call, in which nobody could be heard.

        One that a placer has started, and says to run, is cut off or stopped. It keeps its model for ``orphan_seconds``
        more, as it would itself. Meanwhile runs take it for silent.
        """
        code = self.placed.exit_code() if self.placed is not None else None
        if code is not None and self.placed is not None:
            self.last_words = self.last_words or self.placed.reason
            return code
        if self.placed is None and self.has_left:
            return 0
        now = time.monotonic()
        self.heard_at = None if self.heard_at is None else min(now, self.heard_at + away)
        silent = now - self.heard_at if self.heard_at is not None else 0.0
        if self.placed is None and self._refuses(silent > dead_after_seconds / 2):
            self.last_words = self.last_words or "its process has ended: nobody listens on its port"
            return 1
        if silent <= dead_after_seconds + (orphan_seconds if self.placed is not None else 0.0):
            return None
        self.last_words = self.last_words or f"it was not heard for {silent:.0f} s"
        if self.placed is not None:
            self.placed.kill()
        return SILENT

    def _refuses(self, suspicious: bool) -> bool:
        """Whether connections to it are refused, if there is a reason to ask."""
        if suspicious and self.probe is None and self.link is not None:
            self.probe = Probe(self.link.endpoint)
        elif not suspicious and self.probe is not None:
            self.probe.close()
            self.probe = None
        return self.probe is not None and self.probe.refused

    def reason(self) -> str | None:
        """Why it ended, if it said so."""
        return read_last_words(self.socket) if self.socket is not None else self.last_words

    def end(self) -> None:
        """Have it end after its current job; it is killed if it takes too long."""
        if self.dismiss is not None:
            self.dismiss()
        elif self.placed is not None:
            self.placed.end()
        self.kill_at = time.monotonic() + END_SECONDS

    def stop(self, *, now: bool, seconds: float) -> None:
        """End it at once, or after its current job; it is killed if it takes longer than this."""
        if now:
            self.kill()
        else:
            self.end()
        self.kill_at = time.monotonic() + seconds

    def kill(self) -> None:
        """End it at once."""
        if self.placed is not None:
            self.placed.kill()
        elif self.dismiss is not None:
            self.dismiss()

    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop when the process ends or sends a message."""
        if self.placed is not None and self.placed.descriptor is not None:
            poller.register(self.placed.descriptor, zmq.POLLIN)
        if self.link is not None:
            poller.register(self.link.socket, zmq.POLLIN)

    def close(self) -> None:
        """Close what belongs to it."""
        for closable in (self.link, self.socket, self.placed, self.probe):
            if closable is not None:
                closable.close()


def how_it_ended(code: int, reason: str | None) -> str:
    """Return the end of a process in words."""
    ended = "silent" if code == SILENT else signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{ended}: {reason}" if reason else ended
