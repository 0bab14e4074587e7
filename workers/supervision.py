"""Decides whether and when a dead worker is restarted, without processes or clocks."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEATHS = 5
"""After this many deaths in a row without a finished pair, a worker is not restarted."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 60.0


@dataclass(frozen=True)
class Restart:
    """Restart the worker after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True)
class StopRestarting:
    """Do not restart the worker."""

    deaths: int


class Supervision:
    """The deaths of one worker."""

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, *, finished_a_pair: bool) -> Restart | StopRestarting:
        """The worker died; ``finished_a_pair``: since its last start it had finished one."""
        self._deaths = 1 if finished_a_pair else self._deaths + 1
        if self._deaths >= MAX_DEATHS:
            return StopRestarting(self._deaths)
        return Restart(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._deaths - 1)))
