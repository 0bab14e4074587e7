"""Who may use the pool: one lease, first come first served, decided without sockets or clocks.

Shared by all runs that leave the models where they are, exclusive for one that moves or loads them. The epoch grows
whenever the lease passes from one set of holders to the next; runs that share it at one time share its epoch, so that
none of them invalidates another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from protocol.messages import LeaseMode


@dataclass(frozen=True)
class Grant:
    """Tell the run that the lease is its own."""

    run: str
    mode: LeaseMode
    epoch: int


@dataclass(frozen=True)
class Wait:
    """Tell the run for whom it waits."""

    run: str
    holders: tuple[str, ...]


Action = Grant | Wait


class Leases:
    """The lease of one pool."""

    def __init__(self) -> None:
        self._epoch = 0
        self._holders: dict[str, LeaseMode] = {}
        self._waiting: deque[tuple[str, LeaseMode]] = deque()

    @property
    def holders(self) -> tuple[str, ...]:
        """The runs that have the lease."""
        return tuple(self._holders)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs that wait for it, in the order in which they came."""
        return tuple(run for run, _ in self._waiting)

    @property
    def unused(self) -> bool:
        """Whether nobody has the lease or waits for it."""
        return not self._holders and not self._waiting

    def request(self, run: str, mode: LeaseMode) -> list[Action]:
        """A run asks; asking again for the same changes nothing. Asking for the other mode gives the first up."""
        if self._holders.get(run) == mode:
            return [Grant(run, mode, self._epoch)]
        if (run, mode) not in self._waiting:
            granted = self.leave(run)
            self._waiting.append((run, mode))
        else:
            granted = []
        granted += self._grant_next()
        if run not in self._holders:
            granted.append(Wait(run, self._blockers(run)))
        return granted

    def leave(self, run: str) -> list[Action]:
        """A run is done, or gone."""
        held = self._holders.pop(run, None)
        waited = len(self._waiting)
        self._waiting = deque(entry for entry in self._waiting if entry[0] != run)
        return self._grant_next() if held or len(self._waiting) < waited else []

    def _grant_next(self) -> list[Action]:
        actions: list[Action] = []
        while self._waiting and self._fits(self._waiting[0][1]):
            run, mode = self._waiting.popleft()
            if not self._holders:
                self._epoch += 1
            self._holders[run] = mode
            actions.append(Grant(run, mode, self._epoch))
        if actions:
            actions += [Wait(run, self._blockers(run)) for run, _ in self._waiting]
        return actions

    def _fits(self, mode: LeaseMode) -> bool:
        return not self._holders or (mode == "shared" and "exclusive" not in self._holders.values())

    def _blockers(self, run: str) -> tuple[str, ...]:
        """Those that have the lease, and those that asked earlier."""
        earlier = self.waiting[: self.waiting.index(run)]
        return (*self._holders, *earlier)
