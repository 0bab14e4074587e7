"""Decides which runs hold the pool's lease, first come first served, without sockets or clocks.

Runs that leave the models where they are share the lease; a run that moves or loads models needs it exclusively. The
epoch grows whenever the lease passes to a new set of holders. Runs that share the lease share its epoch, so that none
of them invalidates another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from protocol.messages import LeaseMode


@dataclass(frozen=True)
class Grant:
    """Tell the run that it holds the lease."""

    run: str
    mode: LeaseMode
    epoch: int


@dataclass(frozen=True)
class Wait:
    """Tell the run which runs it waits for."""

    run: str
    holders: tuple[str, ...]


LeaseAction = Grant | Wait


class Leases:
    """The lease of one pool."""

    def __init__(self) -> None:
        self._epoch = 0
        self._holders: dict[str, LeaseMode] = {}
        self._waiting: deque[tuple[str, LeaseMode]] = deque()
        self._reported: dict[str, tuple[str, ...]] = {}

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return self._epoch

    def begin_after(self, epoch: int) -> None:
        """Give the next lease a later epoch than this one: workers that have outlived a launcher remember it."""
        self._epoch = max(self._epoch, epoch)

    @property
    def holders(self) -> tuple[str, ...]:
        """The runs that hold the lease."""
        return tuple(self._holders)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs that wait for the lease, in order of arrival."""
        return tuple(run for run, _ in self._waiting)

    def is_exclusive(self, run: str, epoch: int) -> bool:
        """Whether the run holds the lease exclusively, and ``epoch`` is the current one."""
        return self._holders.get(run) == "exclusive" and epoch == self._epoch

    @property
    def unused(self) -> bool:
        """Whether no run holds the lease or waits for it."""
        return not self._holders and not self._waiting

    def request(self, run: str, mode: LeaseMode) -> list[LeaseAction]:
        """A run asks for the lease. Asking again for the same mode changes nothing.

        An exclusive lease becomes a shared one at once. A run with a shared lease that asks for an exclusive one gives
        the shared one up and waits for its turn.
        """
        if self._holders.get(run) == mode:
            return [Grant(run, mode, self._epoch)]
        if self._holders.get(run) == "exclusive":
            self._holders[run] = mode
            return [Grant(run, mode, self._epoch), *self._grant_next()]
        if (run, mode) not in self._waiting:
            self._remove(run)
            self._waiting.append((run, mode))
        # A request is always answered, even if nothing has changed.
        self._reported.pop(run, None)
        return self._grant_next()

    def leave(self, run: str) -> list[LeaseAction]:
        """A run has finished, or its process has ended."""
        self._remove(run)
        return self._grant_next()

    def _remove(self, run: str) -> None:
        self._holders.pop(run, None)
        self._reported.pop(run, None)
        self._waiting = deque(entry for entry in self._waiting if entry[0] != run)

    def _grant_next(self) -> list[LeaseAction]:
        """Grant what can be granted; tell the runs that still wait if their list of blockers has changed."""
        actions: list[LeaseAction] = []
        while self._waiting and self._fits(self._waiting[0][1]):
            run, mode = self._waiting.popleft()
            if not self._holders:
                self._epoch += 1
            self._holders[run] = mode
            self._reported.pop(run, None)
            actions.append(Grant(run, mode, self._epoch))
        for run in self.waiting:
            blockers = self._blockers(run)
            if self._reported.get(run) != blockers:
                self._reported[run] = blockers
                actions.append(Wait(run, blockers))
        return actions

    def _fits(self, mode: LeaseMode) -> bool:
        return not self._holders or (mode == "shared" and "exclusive" not in self._holders.values())

    def _blockers(self, run: str) -> tuple[str, ...]:
        """The runs that hold the lease, and those that asked earlier."""
        earlier = self.waiting[: self.waiting.index(run)]
        return (*self._holders, *earlier)
