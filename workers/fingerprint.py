"""A model's fingerprint: one hash of all files and all load parameters that can change its results.

Two checkpoints of one architecture differ only in their weights, so the weights themselves are hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from protocol.messages import ModelSpec
from workers.file_hashes import hash_files
from workers.models.declaration import Key
from workers.models.plugins import PluginError
from workers.models.registry import MODELS, canonical_type


def fingerprint(
    spec: ModelSpec,
    files: Sequence[str],
    cache: Path,
    progress: Callable[[], None] = lambda: None,
    *,
    revision: str | None = None,
) -> str:
    """The SHA-256, in hex, of a spec and its files, and of the model's ``revision`` if it has one.

    ``cache`` and ``progress``: see ``file_hashes.hash_files``.

    The model's name does not count if there are files: the same files elsewhere are the same model.

    Raises:
        OSError: one of the files cannot be read.
    """
    base = os.path.commonpath([str(Path(name).parent) for name in files]) if files else ""
    hashes = hash_files(files, cache, progress)
    what = {
        "role": spec.role,
        "class": spec.class_path or (spec.type and canonical_type(spec.role, spec.type)),
        "name": None if files else spec.name,
        "params": msgspec.to_builtins(_decisive(spec.params, _keys_of(spec))),
        "files": {os.path.relpath(name, base): digest for name, digest in hashes.items()},
    }
    if revision is not None:
        what["revision"] = revision
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _keys_of(spec: ModelSpec) -> Sequence[Key]:
    try:
        return MODELS[spec.role].get(spec.type).keys if spec.type else ()
    except (KeyError, PluginError):
        return ()


def _decisive(params: Mapping[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
    """The load parameters that can change a result."""
    by_name = {key.name: key for key in keys}
    decisive = {}
    for name, value in params.items():
        key = by_name.get(name)
        if key is None or key.affects != "start":
            decisive[name] = _decisive(value, key.keys) if key and isinstance(value, Mapping) else value
    return decisive
