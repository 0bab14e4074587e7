"""When a worker that is not heard over TCP counts as dead."""

from __future__ import annotations

import time

import pytest

from workers.placers.declaration import Placed
from workers.worker_life import SILENT, Life

DEAD_AFTER, ORPHAN = 10.0, 300.0


class Running(Placed):
    """A process of which its engine says that it runs."""

    killed = False

    def exit_code(self) -> int | None:
        return None

    def end(self) -> None:
        raise AssertionError

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize(
    ("placed", "silent", "away", "dead"),
    [
        (False, 9.0, 0.0, False),
        (False, 11.0, 0.0, True),
        (False, 11.0, 5.0, False),  # the launcher did not run for most of the time
        (True, 11.0, 0.0, False),  # a network that was cut: it comes back with its model
        (True, 309.0, 0.0, False),
        (True, 311.0, 0.0, True),
    ],
)
def test_a_silent_worker_is_dead_after_a_while_and_one_that_its_engine_says_to_run_later(
    placed: bool, silent: float, away: float, dead: bool
) -> None:
    process = Running()
    life = Life(process if placed else None, introduction_deadline=0.0)
    life.heard_at = time.monotonic() - silent
    assert life.exit_code(DEAD_AFTER, ORPHAN, away) == (SILENT if dead else None)
    assert process.killed == (placed and dead)
