"""The pool directory, through which warm workers are found.

``$WARMBENCH_HOME/<pool>`` holds the launcher's card ``pool.json``, a card per worker, lock files, sockets and logs. It
belongs to one user and is closed to others: any process that can reach a socket there can use the workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from protocol.messages import Role
from protocol.plan import PoolSettings
from protocol.processes import is_alive

POOL_CARD = "pool.json"
LAUNCHER_LOCK = "launcher.lock"
LINKS = ".links"
"""``<worker_id>.links`` is a worker's folder for links to the files of its model."""
_ORPHAN_SECONDS = 5.0
_MAX_CARD_BYTES = 1 << 20
_NAME = re.compile(r"[\w-][\w.-]*", re.UNICODE)
_MAX_NAME_BYTES = 48

Card = TypeVar("Card")


class PoolError(Exception):
    """A pool directory cannot be used."""


class ModelCard(Struct, frozen=True, kw_only=True):
    """A worker's loaded model, in short."""

    type: str | None
    name: str | None
    fingerprint: str


class PoolCard(Struct, frozen=True, kw_only=True):
    """The launcher's card. Times are seconds since the epoch. ``settings`` is None if an earlier version wrote it."""

    endpoint: str
    pid: int
    pid_create_time: float
    protocol_version: int
    version: str
    started: float
    settings: PoolSettings | None = None


class WorkerCard(Struct, frozen=True, kw_only=True):
    """A worker's card, written by the worker when its socket is bound and again when its model is loaded.

    ``visible_gpu`` is its ``CUDA_VISIBLE_DEVICES``, with an entry for each of its GPUs; ``device`` counts those of its
    launcher.
    """

    worker_id: str
    role: Role
    incarnation: str
    endpoint: str
    pid: int
    pid_create_time: float
    device: str
    model: ModelCard | None
    protocol_version: int
    version: str
    started: float
    visible_gpu: str = ""


def home() -> Path:
    """The folder of all pools: ``$WARMBENCH_HOME``, else a folder per user in /tmp (socket paths must be short)."""
    configured = os.environ.get("WARMBENCH_HOME")
    return Path(configured).absolute() if configured else Path(f"/tmp/warmbench-{os.getuid()}")  # noqa: S108 - checked 0700


def cache_home() -> Path:
    """The folder of all caches: ``$WARMBENCH_CACHE``, else ``~/.cache/warmbench``."""
    configured = os.environ.get("WARMBENCH_CACHE")
    return (Path(configured) if configured else Path("~/.cache/warmbench").expanduser()).absolute()


def check_name(name: str) -> str:
    """Return the name if it is valid for a pool; else raise ``PoolError``."""
    if not _NAME.fullmatch(name) or len(name.encode()) > _MAX_NAME_BYTES:
        raise PoolError(
            f"{name!r} can't name a pool: letters, digits, '-', '_' and '.' (not first), "
            f"{_MAX_NAME_BYTES} bytes at most"
        )
    return name


def private_folder(path: Path) -> Path:
    """Make the folder with mode 0700, or raise ``PoolError`` if it is not the user's own and closed to others."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700, parents=True)
        status = path.lstat()
    except (OSError, ValueError) as error:
        raise _cannot_make(path, error) from None
    _check_private(path, status)
    return path


def check_pool_folder(name: str) -> None:
    """Raise the ``PoolError`` that ``pool_folder`` would raise, but make nothing."""
    for path in (home(), home() / check_name(name)):
        try:
            status = path.lstat()
        except FileNotFoundError:
            _check_can_make(path)
            return
        except (OSError, ValueError) as error:
            raise _cannot_make(path, error) from None
        _check_private(path, status)


def _check_can_make(path: Path) -> None:
    above = path.parent
    while not os.path.lexists(above):
        above = above.parent
    try:
        with tempfile.TemporaryFile(dir=above):  # has no name, and leaves nothing
            pass
    except OSError as error:
        raise _cannot_make(path, error) from None


def _cannot_make(path: Path, error: OSError | ValueError) -> PoolError:
    reason = error.strerror if isinstance(error, OSError) else error
    return PoolError(f"{path} can't be made: {reason}: set WARMBENCH_HOME to a folder that you may write to")


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise PoolError(f"{path} is not a folder (a link is not accepted either)")
    if status.st_uid != os.getuid():
        raise PoolError(f"{path} belongs to user {status.st_uid}, not to you ({os.getuid()}): set WARMBENCH_HOME")
    if status.st_mode & 0o077:
        raise PoolError(f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}): chmod 700 it")
    if status.st_mode & 0o700 != 0o700:
        raise PoolError(f"{path} is closed to yourself (mode {stat.S_IMODE(status.st_mode):04o}): chmod 700 it")


def pool_folder(name: str) -> Path:
    """Return the folder of the pool with this name; it is made if it does not exist. Raises ``PoolError``."""
    return private_folder(private_folder(home()) / check_name(name))


def write_card(path: Path, card: PoolCard | WorkerCard) -> None:
    """Write the card to a temporary file and rename it, so that a reader sees a whole card or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(card)) + b"\n")
    temporary.rename(path)


def read_pool_card(folder: Path) -> PoolCard | None:
    """The card of the pool's running launcher, or None (a dead launcher's card counts as none)."""
    card = _read(folder / POOL_CARD, PoolCard)
    return card if card and is_alive(card.pid, card.pid_create_time) else None


def read_worker_cards(folder: Path) -> list[WorkerCard]:
    """The cards of the running workers, by id."""
    paths = sorted(path for path in folder.glob("*.json") if path.name != POOL_CARD)
    cards = (_read(path, WorkerCard) for path in paths)
    return [card for card in cards if card and is_alive(card.pid, card.pid_create_time)]


def remove_traces(folder: Path, worker_id: str, incarnation: str) -> None:
    """Remove what a worker that has ended, or was killed, has in the pool's folder, but for its log."""
    for rest in (".json", f"-{incarnation}.sock"):
        (folder / f"{worker_id}{rest}").unlink(missing_ok=True)
    shutil.rmtree(folder / f"{worker_id}{LINKS}", ignore_errors=True)


def clear_dead_pool(folder: Path) -> None:
    """Remove the files of a launcher that was killed. Its workers end with it; one that does not is killed here.

    The caller holds the lock ``LAUNCHER_LOCK``, so no launcher is alive.
    """
    deadline = time.monotonic() + _ORPHAN_SECONDS
    for card in read_worker_cards(folder):
        while is_alive(card.pid, card.pid_create_time) and time.monotonic() < deadline:
            time.sleep(0.05)
        if is_alive(card.pid, card.pid_create_time):
            with contextlib.suppress(ProcessLookupError):
                os.kill(card.pid, signal.SIGKILL)
    for pattern in ("*.json", "*.sock", ".*.json.*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    for path in folder.glob(f"*{LINKS}"):
        shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, kind: type[Card]) -> Card | None:
    """The card in this file, or None if it holds anything else."""
    if not path.is_file():  # opening a pipe would wait for a writer
        return None
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_CARD_BYTES), type=kind)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def try_lock(path: Path) -> int | None:
    """Lock the file without waiting: a descriptor to keep open, or None if another process holds the lock.

    The kernel releases the lock when the process ends, however it ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on this file, waiting for it if necessary."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
