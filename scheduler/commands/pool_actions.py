"""Starts a pool, shows it, or stops it."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from rich.console import Console

from protocol import messages as m
from protocol.joined import clear_dead_workers, end_waiting_workers
from protocol.pool import LAUNCHER_LOCK, PoolCard, PoolError, check_name, clear_dead_pool, try_lock
from scheduler.base.interrupts import Interrupts
from scheduler.base.text import all_are, format_duration, one_line
from scheduler.config.checks.environment import Environment
from scheduler.config.devices import visible_gpus
from scheduler.config.document import Config
from scheduler.config.layout import Layout, resolve_layout
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError
from scheduler.pool.address import AddressError, PoolAddress, PoolUnavailableError, remote_address
from scheduler.pool.client import PoolEnd, find, launch
from scheduler.pool.gpu_room import RoomCheck
from scheduler.pool.pool_plan import PoolDiffersError, pool_plan, refuse_unequal
from scheduler.pool.session import PoolSession
from scheduler.pool.watch import PoolWatch
from scheduler.terminal.pool_table import pool_table
from scheduler.terminal.say import say
from scheduler.terminal.table import print_table

_LAUNCHER_END_SECONDS = 10.0
"""How long a launcher may take to end once it has said goodbye: its last messages have half a second to leave."""


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
        address = address_of(options)
        return status(console, address) if options.action == "status" else stop(console, address, now=options.now)
    except (ConfigError, PoolDiffersError, AddressError) as error:
        print(error, file=sys.stderr)
        return 2
    except (PoolError, PoolUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1


def address_of(options: argparse.Namespace) -> PoolAddress | str:
    """Return where the pool is that the options name, or the name of one of this user.

    Raises ``AddressError``, ``ConfigError``, ``PoolError``.
    """
    remote = remote_address(options.pool, options.key)
    if remote is not None:
        return remote
    if options.config is not None:
        return load_config(options.config, Overrides(pool_name=options.pool)).pool_name
    if options.pool is None:
        raise AddressError("which pool? Give --pool NAME, --config FILE, or --pool tcp://HOST:PORT with --key FILE")
    return check_name(options.pool)


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
        with closing(PoolSession(PoolAddress.here(name, folder, card))) as session:
            say(console, *_how_to_join(config, card))
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


def _how_to_join(config: Config, card: PoolCard) -> Iterator[str]:
    """What one types on the machines of the workers, if nothing else starts them there."""
    if config.pool.placer == "join":
        host, _, port = card.endpoint.rpartition(":")
        yield f"Key for workers:  warmbench workers keys --pool {config.pool_name} --for worker --to worker.key"
        ipv6 = host.startswith("tcp://[") and host != "tcp://[::]"  # which the machine's name may not lead to
        where = card.endpoint if ipv6 else f"tcp://{socket.gethostname()}:{port}"
        yield f"On each machine:  warmbench workers join {where} --key worker.key --role editor"


def _wait_for_loads(console: Console, session: PoolSession, interrupts: Interrupts) -> bool:
    """Show every load until all have ended; return whether a worker has no model."""
    watch = PoolWatch()
    while not interrupts.count:
        status = session.next_status()
        if status is None:
            raise PoolUnavailableError("the launcher has ended; its log is launcher.log in the pool's folder")
        for line in watch.update(status, time.monotonic()):
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


def stop(console: Console, pool: PoolAddress | str, *, now: bool) -> int:
    """End the pool, after the current work of its workers or at once; return 0."""
    if isinstance(pool, str):
        folder, card = find(pool)
        if card is None:
            say(console, f"Pool {pool} is not up.")
            lock = try_lock(folder / LAUNCHER_LOCK)
            if lock is not None:
                if waited := end_waiting_workers(folder, now=now):
                    say(console, f"Ended, as they waited for its next launcher: {', '.join(waited)}.")
                clear_dead_pool(folder)
                clear_dead_workers()
                os.close(lock)
            return 0
        pool = PoolAddress.here(pool, folder, card)
    with closing(PoolSession(pool)) as session, Interrupts():
        return _stop(console, session, now=now, code=0)


def _stop(console: Console, session: PoolSession, *, now: bool, code: int) -> int:
    with closing(session.client.end()) as end:
        session.client.stop(now=now)
        _wait_for_end(console, session, end)
        if not end.wait(_LAUNCHER_END_SECONDS):
            raise PoolUnavailableError(
                f"pool {session.client.name} has said that it ends, but its launcher is still up"
            )
    say(console, f"Pool {session.client.name} has ended.")
    return code


def _wait_for_end(console: Console, session: PoolSession, end: PoolEnd) -> None:
    """Wait until the launcher says that it ends, or is gone."""
    shown: set[str] = set()
    while True:
        try:
            status = session.next_status()
        except PoolUnavailableError:
            if end.wait(0):
                return
            raise
        if status is None:
            return
        for worker in status.workers:
            if worker.alive and worker.state is not None and worker.state.running and worker.worker_id not in shown:
                shown.add(worker.worker_id)
                say(console, f"{worker.worker_id} first finishes {one_line(worker.state.running, 80)}")


def status(console: Console, pool: PoolAddress | str) -> int:
    """Show the state of every worker; return 0, or 1 if the pool is not up."""
    if isinstance(pool, str):
        folder, card = find(pool)
        if card is None:
            say(console, f"Pool {pool} is not up.")
            return 1
        pool = PoolAddress.here(pool, folder, card)
    with closing(PoolSession(pool)) as session:
        report = session.next_status()
    if report is None:
        say(console, f"Pool {pool.name} has ended.")
        return 1
    say(console, f"Pool {pool.name}{_launcher(pool)}")
    print_table(console, pool_table(report, here=pool.card is not None))
    for what, runs in (("Attached", report.holders), ("Waiting", report.waiting)):
        if runs:
            say(console, f"{what}: {', '.join(runs)}")
    return 0


def _launcher(pool: PoolAddress) -> str:
    """What is known of the launcher on this machine."""
    if pool.card is None:
        return ""
    at = f", {pool.card.endpoint}" if pool.keys is not None else ""
    up = format_duration(time.time() - pool.card.started)
    return f", up for {up}, launcher pid {pool.card.pid}, {pool.folder}{at}"
