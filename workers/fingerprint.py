"""A model's fingerprint: one hash of all files and all load parameters that can change its results.

Two checkpoints of one architecture differ only in their weights, so the weights themselves are hashed. The hashes are
cached by path, inode, size and time of change, since reading 57 GB takes long.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from protocol.messages import ModelSpec
from workers.models.registry import canonical_type

_CACHE_ENTRIES = 10_000


def fingerprint(spec: ModelSpec, files: Sequence[str], cache: Path) -> str:
    """The SHA-256, in hex, of a spec and its files. ``cache`` is a JSON file that need not exist yet.

    The model's name does not count if there are files: the same files elsewhere are the same model.

    Raises:
        OSError: one of the files cannot be read.
    """
    known = _read_cache(cache)
    base = os.path.commonpath([str(Path(name).parent) for name in files]) if files else ""
    hashes: dict[str, str] = {}
    fresh: dict[str, str] = {}
    for name, key in file_stamps(files).items():
        fresh[key] = known.get(key) or _hash_file(Path(name))
        hashes[os.path.relpath(name, base)] = fresh[key]
    if fresh.keys() - known.keys():
        _write_cache(cache, {**known, **fresh})
    what = {
        "role": spec.role,
        "class": spec.class_path or (spec.type and canonical_type(spec.role, spec.type)),
        "name": None if files else spec.name,
        "params": msgspec.to_builtins(spec.params),
        "files": hashes,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def file_stamps(files: Iterable[str]) -> dict[str, str]:
    """A stamp of each file, by its path: path, inode, size and time of change show whether it is still the same.

    Raises:
        OSError: one of the files does not exist.
    """
    status = {name: Path(name).stat() for name in files}
    return {name: f"{name}|{stat.st_ino}|{stat.st_size}|{stat.st_mtime_ns}" for name, stat in status.items()}


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
