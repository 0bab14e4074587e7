"""The SHA-256 of weight files: file by file in parallel, each once per machine, and none that is known already.

The hashes are cached by path, inode, size and time of change, since reading 57 GB takes long. The hub's cache names its
large files by their SHA-256: of such a file, only the name and the size are checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from protocol.pool import locked
from workers.models.safetensors_files import SUFFIX, DamagedFileError, read_header

_CACHE_ENTRIES = 10_000
_MOST_THREADS = 16
_CHUNK_BYTES = 1 << 22
_READ_AHEAD_BYTES = 128 * 1024
"""The kernel reads no more ahead for one request than it would for a file that is read in order, and says nothing."""
_LOCKS = 64
"""The number of lock files. Two files that share one are only hashed one after the other."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_stamps(files: Iterable[str]) -> dict[str, str]:
    """A stamp of each file, by its path: the path behind all links, inode, size and time of change show whether it is
    still the same.

    Raises:
        OSError: one of the files does not exist.
    """
    status = {name: Path(name).stat() for name in files}
    return {
        name: f"{os.path.realpath(name)}|{stat.st_ino}|{stat.st_size}|{stat.st_mtime_ns}"
        for name, stat in status.items()
    }


def hash_files(
    files: Sequence[str], cache: Path, progress: Callable[[], None] = lambda: None, *, threads: int = _MOST_THREADS
) -> dict[str, str]:
    """Return the hash of each file, by its path. ``cache`` is a JSON file that need not exist yet. At most this many
    ``threads`` read.

    ``progress`` is called while files are read, here or by another process that hashes the same one.

    Raises:
        OSError: one of the files cannot be read.
    """
    stamps = file_stamps(files)
    cached = _read_cache(cache)
    known = {name: name_in_hub_cache(Path(name)) or cached.get(stamp) for name, stamp in stamps.items()}
    # The largest first: then the last thread has little left to do alone.
    missing = sorted((name for name in known if known[name] is None), key=lambda name: -Path(name).stat().st_size)
    hashed = _hash_in_parallel({name: stamps[name] for name in missing}, cache, progress, threads) if missing else {}
    return {name: digest or hashed[name] for name, digest in known.items()}


def name_in_hub_cache(path: Path) -> str | None:
    """The SHA-256 by which the hub's cache names a file, if it is a safetensors file as long as its header says.

    A snapshot holds links to ``blobs/<SHA-256>``, for files that the hub stores as large ones.
    """
    if path.suffix != SUFFIX or not path.is_symlink():
        return None
    blob = path.resolve()
    if blob.parent.name != "blobs" or not _SHA256.fullmatch(blob.name):
        return None
    try:
        read_header(path)
    except (OSError, DamagedFileError):
        return None
    return blob.name


def read_ahead(files: Sequence[str], progress: Callable[[], None] = lambda: None) -> None:
    """Have the kernel read files into its page cache, which all workers share.

    Raises:
        OSError: one of the files cannot be read.
    """
    for name in files:
        with Path(name).open("rb") as file:
            descriptor = file.fileno()
            for start in range(0, os.fstat(descriptor).st_size, _READ_AHEAD_BYTES):
                os.posix_fadvise(descriptor, start, _READ_AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
                progress()


def _hash_in_parallel(
    stamps: Mapping[str, str], cache: Path, progress: Callable[[], None], threads: int
) -> dict[str, str]:
    hashing = _Hashing(cache)
    threads = min(len(stamps), threads, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads, "hash") as pool:
        futures = {name: pool.submit(hashing.hash_once, Path(name), stamp) for name, stamp in stamps.items()}
        pending = set(futures.values())
        while pending:
            _, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            if hashing.goes_on():
                progress()
        return {name: future.result() for name, future in futures.items()}


class _Hashing:
    """What the threads that hash files have in common."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._moved = False
        self._waiting = 0

    def goes_on(self) -> bool:
        """Whether a byte was read since the last call, or another process reads for one of the threads."""
        with self._lock:
            moved, self._moved = self._moved, False
            return moved or self._waiting > 0

    def hash_once(self, path: Path, stamp: str) -> str:
        """Hash a file, or wait for the worker that hashes it just now."""
        lock = self._cache.with_name(f"{self._cache.name}.{zlib.crc32(stamp.encode()) % _LOCKS}.lock")
        with ExitStack() as stack:
            with self._counted_as_waiting():
                stack.enter_context(locked(lock))
            digest = _read_cache(self._cache).get(stamp)
            if digest is None:
                digest = self._hash(path)
                with locked(self._cache.with_name(f"{self._cache.name}.lock")):
                    _write_cache(self._cache, {**_read_cache(self._cache), stamp: digest})
            return digest

    @contextmanager
    def _counted_as_waiting(self) -> Iterator[None]:
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _hash(self, path: Path) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                self._moved = True
        return digest.hexdigest()


def _read_cache(path: Path) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write_cache(path: Path, entries: Mapping[str, str]) -> None:
    newest = dict(list(entries.items())[-_CACHE_ENTRIES:])
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # It is only a cache: the load must not fail if the disk is full or read-only.
    with contextlib.suppress(OSError):
        temporary.write_bytes(msgspec.json.encode(newest))
        temporary.rename(path)
