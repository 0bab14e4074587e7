"""A worker process; the pool that hostile tests attack, and what must not change in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from protocol import messages as m
from tests.workers.attacked_pool import SPEC, Pool
from tests.workers.worker_process import WorkerProcess, new_worker


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    with new_worker() as made:
        yield made


@dataclass
class Before:
    """What must not change."""

    state: m.WorkerState
    status: m.PoolStatus
    memory: int
    logs: int


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[Pool]:
    made = Pool()
    made.edit()
    yield made
    made.close()


@pytest.fixture
def pool(shared_pool: Pool) -> Iterator[Pool]:
    """The pool, which must be unharmed at the end: same process, lease and epoch, and only the honest run's jobs."""
    before = Before(shared_pool.state(), shared_pool.status(), shared_pool.memory(), len(shared_pool.logs()))
    yield shared_pool
    shared_pool.edit()
    state, status = shared_pool.state(), shared_pool.status()
    assert state.done == shared_pool.jobs, "only the honest run's jobs were done"
    assert (state.epoch, state.phase, state.residency) == (before.state.epoch, "ready", "device")
    assert state.model == before.state.model
    assert (status.holders, status.stopping, status.keep) == (["honest"], False, True)
    assert [worker.incarnation for worker in status.workers] == [shared_pool.incarnation]
    assert [worker.spec for worker in status.workers] == [SPEC]
    logged = shared_pool.logs()[before.logs :]
    assert len(logged) < 8000, logged
    assert "Traceback" not in logged
    assert all(line.isprintable() for line in logged.splitlines())
    assert shared_pool.memory() - before.memory < 40 * 2**20
