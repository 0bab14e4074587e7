"""Which processes may join a pool as one of its workers."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import zmq

from protocol import messages as m
from protocol.plan import PoolPlan, WorkerPlan
from protocol.sockets import Listener, ipc_endpoint
from tests.workers.test_fresh_keys import join
from workers.arrivals import Arrivals
from workers.entrance import LocalEntrance
from workers.managed_worker import ManagedWorker
from workers.placers.local import LocalPlacer
from workers.strangers import Strangers


def test_a_process_with_fewer_gpus_than_each_worker_of_its_role_takes_is_refused(tmp_path: Path) -> None:
    spec = m.ModelSpec(role="editor", type="simulated")
    plan = WorkerPlan(worker_id="editor-0", role="editor", device="gpu:2", spec=spec, residency="device", command=["x"])
    pool = PoolPlan(name="pool", workers=[plan])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    entrance = LocalEntrance(tmp_path, tmp_path / "life.sock")

    def manage(plan: WorkerPlan) -> ManagedWorker:
        return ManagedWorker(context, pool, plan, tmp_path, LocalPlacer(pool, tmp_path), entrance)

    workers = {"editor-0": manage(plan)}
    listener = Listener(context, ipc_endpoint(tmp_path / "pool.sock"))
    arrivals = Arrivals(pool, "life", listener, workers, manage, Strangers(logging.getLogger("test")))
    asked = msgspec.structs.replace(join("A" * 40), device="cuda:0")
    expected = "each editor of the pool takes 2 GPUs; node joined with cuda:0: add --device cuda:0+1"
    assert arrivals.handle(b"worker", asked, stopping=False) == ("incarnation", expected)
    assert list(workers) == ["editor-0"], "nothing was added to the pool"
    listener.close()
    context.term()
