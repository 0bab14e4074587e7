"""Whether and when a worker that died is started again, decided without processes or clocks."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEATHS = 5
"""Deaths in a row, without a pair finished in between, after which a worker stays dead."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 60.0


@dataclass(frozen=True)
class Restart:
    """Start it again after this many seconds."""

    delay: float


@dataclass(frozen=True)
class StopRestarting:
    """It will not live; leave it."""

    deaths: int


class Supervision:
    """The deaths of one worker."""

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, *, finished_a_pair: bool) -> Restart | StopRestarting:
        """The worker died; ``finished_a_pair`` tells whether this life of it finished any."""
        self._deaths = 1 if finished_a_pair else self._deaths + 1
        if self._deaths >= MAX_DEATHS:
            return StopRestarting(self._deaths)
        return Restart(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._deaths - 1)))
