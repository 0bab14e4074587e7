"""A model's fingerprint: one hash of all files and all load parameters that can change its results.

Two checkpoints of one architecture differ only in their weights, so the weights themselves are hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from protocol.messages import ModelSpec
from workers.file_hashes import hash_files
from workers.models.plugins import PluginError
from workers.models.registry import MODELS, canonical_type


def fingerprint(spec: ModelSpec, files: Sequence[str], cache: Path, progress: Callable[[], None] = lambda: None) -> str:
    """The SHA-256, in hex, of a spec and its files. ``cache`` and ``progress``: see ``file_hashes.hash_files``.

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
        "params": msgspec.to_builtins({name: spec.params[name] for name in spec.params if name not in _same(spec)}),
        "files": {os.path.relpath(name, base): digest for name, digest in hashes.items()},
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _same(spec: ModelSpec) -> set[str]:
    """The load parameters that do not change the model."""
    try:
        keys = MODELS[spec.role].get(spec.type).keys if spec.type else ()
    except (KeyError, PluginError):
        return set()
    return {key.name for key in keys if key.affects == "start"}
