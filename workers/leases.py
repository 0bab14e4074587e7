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


LeaseAction = Grant | Wait


class Leases:
    """The lease of one pool."""

    def __init__(self) -> None:
        self._epoch = 0
        self._holders: dict[str, LeaseMode] = {}
        self._waiting: deque[tuple[str, LeaseMode]] = deque()
        self._told: dict[str, tuple[str, ...]] = {}

    @property
    def holders(self) -> tuple[str, ...]:
        """The runs that have the lease."""
        return tuple(self._holders)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs that wait for it, in the order in which they came."""
        return tuple(run for run, _ in self._waiting)

    def is_exclusive(self, run: str, epoch: int) -> bool:
        """Whether the run alone has the lease, and speaks of this very one."""
        return self._holders.get(run) == "exclusive" and epoch == self._epoch

    @property
    def unused(self) -> bool:
        """Whether nobody has the lease or waits for it."""
        return not self._holders and not self._waiting

    def request(self, run: str, mode: LeaseMode) -> list[LeaseAction]:
        """A run asks; asking again for the same changes nothing.

        An exclusive lease becomes a shared one on the spot. A shared one is given up for an exclusive one, and the run
        waits for its turn.
        """
        if self._holders.get(run) == mode:
            return [Grant(run, mode, self._epoch)]
        if self._holders.get(run) == "exclusive":
            self._holders[run] = mode
            return [Grant(run, mode, self._epoch), *self._grant_next()]
        if (run, mode) not in self._waiting:
            self._remove(run)
            self._waiting.append((run, mode))
        # Who asks is answered, even if there is nothing new.
        self._told.pop(run, None)
        return self._grant_next()

    def leave(self, run: str) -> list[LeaseAction]:
        """A run is done, or gone."""
        self._remove(run)
        return self._grant_next()

    def _remove(self, run: str) -> None:
        self._holders.pop(run, None)
        self._told.pop(run, None)
        self._waiting = deque(entry for entry in self._waiting if entry[0] != run)

    def _grant_next(self) -> list[LeaseAction]:
        """Grant what can be granted, and tell those that still wait if they wait for others than they were told."""
        actions: list[LeaseAction] = []
        while self._waiting and self._fits(self._waiting[0][1]):
            run, mode = self._waiting.popleft()
            if not self._holders:
                self._epoch += 1
            self._holders[run] = mode
            self._told.pop(run, None)
            actions.append(Grant(run, mode, self._epoch))
        for run in self.waiting:
            blockers = self._blockers(run)
            if self._told.get(run) != blockers:
                self._told[run] = blockers
                actions.append(Wait(run, blockers))
        return actions

    def _fits(self, mode: LeaseMode) -> bool:
        return not self._holders or (mode == "shared" and "exclusive" not in self._holders.values())

    def _blockers(self, run: str) -> tuple[str, ...]:
        """Those that have the lease, and those that asked earlier."""
        earlier = self.waiting[: self.waiting.index(run)]
        return (*self._holders, *earlier)
