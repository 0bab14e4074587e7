"""What a pool over TCP keeps on the disk: of each worker a folder on its machine, and a note for the next launcher.

``$WARMBENCH_HOME/joined-<incarnation>`` is a worker's folder. The worker holds a lock in it for as long as it lives, so
whoever comes next can tell the folders of workers that were killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from protocol.pool import WorkerCard, home, locked, private_folder, read_worker_cards, try_lock
from protocol.processes import has_ended, open_pidfd

_PREFIX = "joined-"
_LOCK = "worker.lock"
_MEMBERS = "members"
_INCARNATION = re.compile(r"[\w-]{1,64}", re.ASCII)


class Members(Struct, frozen=True, kw_only=True):
    """What the next launcher of a pool has to know: the lease's epoch, the port where workers look for it, and the
    incarnation of each worker.
    """

    epoch: int = 0
    port: int | None = None
    incarnations: dict[str, str] = {}


def read_members(folder: Path) -> Members:
    """Read the note in a pool's folder; nobody, if there is none."""
    try:
        return msgspec.json.decode((folder / _MEMBERS).read_bytes()[: 1 << 20], type=Members)
    except (OSError, ValueError, msgspec.MsgspecError):
        return Members()


def write_members(folder: Path, members: Members) -> None:
    """Write the note. Raises ``OSError``."""
    temporary = folder / f".{_MEMBERS}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(members))
    temporary.rename(folder / _MEMBERS)


def remove_members(folder: Path) -> None:
    """Remove the note: no worker waits for a launcher any more."""
    (folder / _MEMBERS).unlink(missing_ok=True)


@contextlib.contextmanager
def worker_folder(incarnation: str) -> Iterator[Path]:
    """Make the folder of a worker, and remove it at the end. Raises ``protocol.pool.PoolError``, ``OSError``."""
    folder = private_folder(home()) / f"{_PREFIX}{incarnation}"
    with _making_or_clearing():
        private_folder(folder)
        lock = try_lock(folder / _LOCK)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def clear_dead_workers() -> None:
    """Remove the folders of workers over TCP that have been killed on this machine."""
    with _making_or_clearing():
        for folder in home().glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # not a folder, or removed by its worker just now
                lock = try_lock(folder / _LOCK)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def _making_or_clearing() -> contextlib.AbstractContextManager[None]:
    """A folder without its lock may be new: it is made, and looked at, by one process at a time."""
    return locked(home() / ".joined.lock")


def worker_card(worker_id: str, incarnation: str) -> WorkerCard | None:
    """Return the card of a worker over TCP, if it is alive on this machine."""
    if not _INCARNATION.fullmatch(incarnation):
        return None
    cards = read_worker_cards(home() / f"{_PREFIX}{incarnation}")
    return next((card for card in cards if (card.worker_id, card.incarnation) == (worker_id, incarnation)), None)


def end_waiting_workers(folder: Path, *, now: bool) -> list[str]:
    """End the workers on this machine that wait for the next launcher of the pool in this folder: after their current
    job, or at once. Return their names when they have ended.

    The caller holds the pool's lock, so no launcher is alive.
    """
    processes = {}
    for name, incarnation in read_members(folder).incarnations.items():
        card = worker_card(name, incarnation)
        process = open_pidfd(card.pid, card.pid_create_time) if card is not None else None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL if now else signal.SIGTERM)
            processes[name] = process
    for process in processes.values():
        has_ended(process, None)
        os.close(process)
    remove_members(folder)
    return list(processes)
