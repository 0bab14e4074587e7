"""``python -m workers launch`` runs the launcher of a plan on standard input, ``worker`` one of its workers on the same
machine; ``join`` becomes a worker of a pool elsewhere.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import socket
import sys
from pathlib import Path

import msgspec
import zmq
from setproctitle import setproctitle

from protocol.joined import clear_dead_workers
from protocol.plan import EXIT_TAKEN, PoolPlan
from protocol.pool import LAUNCHER_LOCK, PoolError, clear_dead_pool, private_folder, try_lock
from protocol.sockets import Listener, ipc_endpoint
from workers.join_options import add_options, run_joined


def main() -> int:
    """Run the process that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    launch = commands.add_parser("launch")
    launch.add_argument("--folder", type=Path, required=True)
    worker = commands.add_parser("worker")
    for option in ("worker-id", "role", "device", "local-device", "incarnation"):
        worker.add_argument(f"--{option}", required=True)
    for option in ("folder", "life-socket"):
        worker.add_argument(f"--{option}", type=Path, required=True)
    join = commands.add_parser("join")
    add_options(join)
    options = parser.parse_args()
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if options.command == "launch":
        return run_launcher(options.folder)
    code = run_worker(options) if options.command == "worker" else run_joined(options)
    # Not sys.exit, which would wait for a thread inside a library.
    logging.shutdown()
    os._exit(code)


def run_launcher(folder: Path) -> int:
    """Run the launcher of the pool in this folder."""
    setproctitle(f"warmbench: launcher of {folder}")
    from workers.launcher import Launcher
    from workers.placers.declaration import PlacementError

    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=PoolPlan)
    private_folder(folder)
    lock = try_lock(folder / LAUNCHER_LOCK)
    if lock is None:
        return EXIT_TAKEN
    clear_dead_pool(folder)
    clear_dead_workers()
    try:
        Launcher(plan, folder).run()
    except (PoolError, PlacementError, ValueError) as error:
        logging.getLogger("warmbench.launcher").error("%s", error)
        return 1
    finally:
        clear_dead_workers()  # those that it had to kill
    return 0


def run_worker(options: argparse.Namespace) -> int:
    """Run one worker of a launcher on this machine."""
    setproctitle(f"warmbench: {options.worker_id} on {options.device} of {options.folder}")
    from workers.peers import WorkerIdentity
    from workers.ties import LocalTie
    from workers.worker import Worker

    identity = WorkerIdentity(
        options.worker_id, options.role, options.device, options.local_device, options.incarnation
    )
    life = socket.socket(socket.AF_UNIX)
    life.connect(str(options.life_socket))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    listener = Listener(context, ipc_endpoint(options.folder / f"{options.worker_id}-{options.incarnation}.sock"))
    worker = Worker(identity, context, listener, options.folder, LocalTie(life))
    introduction = {"worker_id": identity.worker_id, "incarnation": identity.incarnation, "endpoint": listener.endpoint}
    life.send(json.dumps(introduction).encode())
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
