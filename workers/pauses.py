"""Notices that a loop did not run for a while: its process was stopped, or had no CPU.

What has come meanwhile lies in the sockets, and is read in several turns. Until then it would be wrong to take a peer
for silent.
"""

from __future__ import annotations

_LONG_TURN_SECONDS = 0.5


class Pauses:
    """Times are those of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self._last_turn = now

    def at_turn(self, now: float) -> float:
        """A turn begins. Return the time since the last one if that was a pause, else 0."""
        seconds, self._last_turn = now - self._last_turn, now
        return seconds if seconds > _LONG_TURN_SECONDS else 0.0
