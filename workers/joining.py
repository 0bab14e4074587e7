"""``python -m workers join``: a process becomes a worker of a pool whose launcher is elsewhere, over TCP."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
import uuid
from urllib.parse import urlsplit

import zmq
from setproctitle import setproctitle

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.devices import gpu_group, gpus_of
from protocol.gate import Gate
from protocol.joined import clear_dead_workers, worker_folder
from protocol.keys import KeyFileError, new_pair, read_client_keys
from protocol.sockets import Listener, bracketed
from workers.peers import WorkerIdentity
from workers.ties import RemoteTie
from workers.worker import Worker

EXIT_REFUSED = 77
"""The pool does not take this worker (EX_NOPERM of sysexits.h)."""
_HINT_SECONDS = 30.0


def run_joined(options: argparse.Namespace) -> int:
    """Join and work until the pool or this worker ends; return the exit code."""
    try:
        keys = read_client_keys(options.key)
        address = bracketed(options.address or own_address(options.endpoint))
    except (KeyFileError, ValueError, OSError) as error:
        print(f"warmbench: {error}", file=sys.stderr)
        return 2
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate = Gate(context, {keys.server})
    pair = new_pair()
    listener = Listener(context, f"tcp://{address}:*", pair, options.ports)
    incarnation = options.incarnation or uuid.uuid4().hex[:12]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    local_device = options.device or ("cuda:0" if visible else "cpu")
    worker: Worker | None = None

    def join() -> m.Join:
        return m.Join(
            run=f"worker-{incarnation}",
            incarnation=incarnation,
            role=options.role,
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            worker_id=options.worker_id,
            host=socket.gethostname() or "unknown",
            pid=os.getpid(),
            device=device_name(local_device, visible),
            endpoint=listener.endpoint,
            server_key=pair.public,
            state=worker.state() if worker is not None else m.WorkerState(phase="starting"),
        )

    tie = RemoteTie(context, options.endpoint, keys, join)
    refusal = _wait(tie, options.endpoint, options.give_up_after)
    if refusal is not None or tie.assigned is None:
        print(f"warmbench: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    identity = WorkerIdentity(tie.assigned.worker_id, options.role, tie.assigned.device, local_device, incarnation)
    with worker_folder(incarnation) as folder:
        setproctitle(f"warmbench: {identity.worker_id} on {identity.device} of {options.endpoint} in {folder}")
        clear_dead_workers()
        worker = Worker(identity, context, listener, folder, tie, gate)
        return worker.run()


def _wait(tie: RemoteTie, endpoint: str, patience: float | None) -> str | None:
    """Wait until the launcher answers. A refused key is never answered: say so now and then.

    Return why the worker has to end: it is refused, or ``patience`` (seconds) is at an end.
    """
    began = time.monotonic()
    hint_at = began + _HINT_SECONDS
    while tie.assigned is None:
        poller = zmq.Poller()
        tie.register(poller)
        refusal = tie.update(dict(poller.poll(200)))
        if refusal is not None:
            return refusal
        if patience is not None and time.monotonic() - began > patience:
            return f"{endpoint} did not answer for {patience:g} s: the launcher that asked for this worker is gone"
        if time.monotonic() > hint_at:
            hint_at += _HINT_SECONDS
            print(
                f"warmbench: {endpoint} does not answer: is the pool up there, is the port open, and is the key one "
                "that its launcher knows?",
                file=sys.stderr,
            )
    return None


def device_name(local_device: str, visible: str) -> str:
    """Return the name of the worker's device on its machine; ``visible`` are the GPUs that the process sees."""
    numbers = [entry.strip() for entry in visible.split(",") if entry.strip()]
    indices = [int(gpu.partition(":")[2]) for gpu in gpus_of(local_device)]
    return gpu_group([numbers[index] if index < len(numbers) else index for index in indices]) if indices else "cpu"


def own_address(endpoint: str) -> str:
    """Return the address of this machine from which the endpoint is reached. Raises ``ValueError``, ``OSError``."""
    parts = urlsplit(endpoint)
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        raise ValueError(f"{endpoint} is no address such as tcp://head:5600")
    family, kind, _, _, target = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)  # sends nothing
        found: str = probe.getsockname()[0]
        return found
