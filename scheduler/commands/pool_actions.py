"""Starts a pool, shows it, or stops it."""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import zmq
from rich.console import Console

from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.pool import LAUNCHER_LOCK, PoolCard, PoolError, clear_dead_pool, try_lock
from scheduler.base.interrupts import Interrupts
from scheduler.base.text import all_are, format_duration, one_line
from scheduler.config.checks.environment import Environment
from scheduler.config.devices import visible_gpus
from scheduler.config.document import Config
from scheduler.config.layout import Layout, resolve_layout
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError
from scheduler.pool.client import PoolAddress, PoolClient, PoolUnavailableError, find, launch
from scheduler.pool.gpu_room import RoomCheck
from scheduler.pool.pool_plan import PoolDiffersError, pool_plan, refuse_unequal
from scheduler.pool.watch import PoolWatch
from scheduler.terminal.pool_table import pool_table
from scheduler.terminal.say import say
from scheduler.terminal.table import print_table

_ANSWER_SECONDS = 10.0


def execute_action(options: argparse.Namespace) -> int:
    """Start, stop or show the pool, and return the exit code."""
    console = Console(highlight=False)
    overrides = Overrides(pool_name=options.pool)
    try:
        if options.action == "start":
            gpus = visible_gpus()
            room = RoomCheck(gpus)
            config = load_config(options.config, overrides, Environment(gpus=gpus, data=False, more=(room,)))
            say(console, *(f"Warning: {warning}" for warning in room.warnings))
            return start(console, config, resolve_layout(config, gpus), options.foreground)
        name = load_config(options.config, overrides).pool_name
        return status(console, name) if options.action == "status" else stop(console, name, now=options.now)
    except (ConfigError, PoolDiffersError) as error:
        print(error, file=sys.stderr)
        return 2
    except (PoolError, PoolUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1


class PoolSession:
    """A short conversation with a launcher."""

    def __init__(self, name: str, folder: Path, card: PoolCard) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            address = PoolAddress.here(name, folder, card)
            self.client = PoolClient(self._context, address, f"command-{uuid.uuid4().hex[:8]}")
        except PoolUnavailableError:
            self._context.term()
            raise

    def next_status(self, seconds: float = _ANSWER_SECONDS) -> m.PoolStatus | None:
        """Return the next status, or None if the launcher has ended.

        Raises:
            PoolUnavailableError: it does not answer, or speaks another protocol.
        """
        deadline = time.monotonic() + seconds
        poller = zmq.Poller()
        self.client.register(poller)
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(int(left * 1000) + 1))
            if self.client.link.socket in ready:
                try:
                    received = self.client.link.receive()
                except ProtocolError as error:
                    raise PoolUnavailableError(f"the launcher sent an invalid message: {error}") from error
                if received is not None and isinstance(received[0], m.PoolStatus):
                    return received[0]
                if received is not None and isinstance(received[0], m.Refused):
                    raise PoolUnavailableError(received[0].message)
            elif self.client.has_ended(ready):
                return None
        raise PoolUnavailableError(f"the launcher of pool {self.client.name} does not answer (is it stopped?)")

    def close(self) -> None:
        """Disconnect."""
        self.client.close()
        self._context.term()


def start(console: Console, config: Config, layout: Layout, foreground: bool) -> int:
    """Launch the pool, show each load, and return 0 when all workers are ready, or 1 if one could not load."""
    name = config.pool_name
    folder, card = find(name)
    if card is not None:
        refuse_unequal(name, card, config)
        say(console, f"Pool {name} has been up since {time.ctime(card.started)}; nothing was started.")
        return 0
    say(console, *layout.notices)
    with Interrupts() as interrupts:
        card = launch(folder, pool_plan(config, layout, keep=True))
        with closing(PoolSession(name, folder, card)) as session:
            failed = _wait_for_loads(console, session, interrupts)
            if interrupts.count:
                say(console, "Interrupted: stopping the pool.")
                return _stop(console, session, now=True, code=130)
            say(console, f"Attach to it:  warmbench run --config {config.path} --pool {name}")
            say(console, f"Look at it:    warmbench workers status --config {config.path} --pool {name}")
            if foreground:
                say(console, "In the foreground: interrupt to stop the pool.")
                return _stay(console, session, interrupts, code=1 if failed else 0)
            return 1 if failed else 0


def _wait_for_loads(console: Console, session: PoolSession, interrupts: Interrupts) -> bool:
    """Show every load until all have ended; return whether a worker has no model."""
    watch = PoolWatch()
    while not interrupts.count:
        status = session.next_status()
        if status is None:
            raise PoolUnavailableError("the launcher has ended; its log is launcher.log in the pool's folder")
        for line in watch.update(status):
            say(console, line.text)
        if all(_settled(worker) for worker in status.workers):
            bad = [worker for worker in status.workers if not _ready(worker)]
            if bad:
                names = ", ".join(worker.worker_id for worker in bad)
                others = " The others are ready." if len(bad) < len(status.workers) else ""
                say(console, f"Not usable: {names}.{others}", style="bold red")
            else:
                say(console, f"{all_are(len(status.workers), 'worker')} ready.", style="green")
            if on_disk := [worker.worker_id for worker in status.workers if _ready(worker) and _on_disk(worker)]:
                say(console, f"Not loaded until a run needs them, as they share a GPU: {', '.join(on_disk)}.")
            return bool(bad)
    return True


def _ready(worker: m.WorkerStatus) -> bool:
    return worker.alive and worker.state is not None and worker.state.phase == "ready"


def _on_disk(worker: m.WorkerStatus) -> bool:
    return worker.state is not None and worker.state.residency == "disk"


def _settled(worker: m.WorkerStatus) -> bool:
    failed = worker.state is not None and worker.state.phase == "failed"
    return _ready(worker) or worker.gave_up or (worker.alive and failed)


def _stay(console: Console, session: PoolSession, interrupts: Interrupts, *, code: int) -> int:
    """Wait until the pool ends, or end it when interrupted."""
    while session.next_status() is not None:
        if interrupts.count:
            return _stop(console, session, now=False, code=code)
    return code


def stop(console: Console, name: str, *, now: bool) -> int:
    """End the pool, after the current work of its workers or at once; return 0."""
    folder, card = find(name)
    if card is None:
        lock = try_lock(folder / LAUNCHER_LOCK)
        if lock is not None:
            clear_dead_pool(folder)
            os.close(lock)
        say(console, f"Pool {name} is not up.")
        return 0
    with closing(PoolSession(name, folder, card)) as session, Interrupts():
        return _stop(console, session, now=now, code=0)


def _stop(console: Console, session: PoolSession, *, now: bool, code: int) -> int:
    session.client.stop(now=now)
    shown: set[str] = set()
    while True:
        try:
            status = session.next_status()
        except PoolUnavailableError:
            end = session.client.end()
            ended = end.wait(0)
            end.close()
            if ended:
                break
            raise
        if status is None:
            break
        for worker in status.workers:
            if worker.alive and worker.state is not None and worker.state.running and worker.worker_id not in shown:
                shown.add(worker.worker_id)
                say(console, f"{worker.worker_id} first finishes {one_line(worker.state.running, 80)}")
    say(console, f"Pool {session.client.name} has ended.")
    return code


def status(console: Console, name: str) -> int:
    """Show the state of every worker; return 0, or 1 if the pool is not up."""
    folder, card = find(name)
    if card is None:
        say(console, f"Pool {name} is not up.")
        return 1
    with closing(PoolSession(name, folder, card)) as session:
        report = session.next_status()
    if report is None:
        say(console, f"Pool {name} has ended.")
        return 1
    up = format_duration(time.time() - card.started)
    say(console, f"Pool {name}, up for {up}, launcher pid {card.pid}, {folder}")
    print_table(console, pool_table(report))
    for what, runs in (("Attached", report.holders), ("Waiting", report.waiting)):
        if runs:
            say(console, f"{what}: {', '.join(runs)}")
    return 0
