"""A copy of a mixture of experts as the installed transformers stores it, made once per machine, mapped by all workers.

The files of Qwen3-VL's mixtures hold each expert's matrices transposed to what transformers 5 computes with. Loading
them transposes all of them, on one thread, into memory of each worker. A copy in which that is done loads by mapping,
as any other model. It lies in ``$WARMBENCH_CACHE`` (default ``~/.cache/warmbench``), named by the original's files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from protocol.pool import cache_home, try_lock
from workers.models.safetensors_files import SUFFIX, DamagedFileError, read_header

_log = logging.getLogger(__name__)

_MIXTURES = ("qwen3_vl_moe",)
_EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
_VERSION = "experts transposed, 1"
_COMPLETE = ".complete"
"""A file in each whole copy, with the stamps of its shards."""

_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError)
_ROOM = 1.02
_THREADS = 4
_LOOK_SECONDS = 0.5

_failed: set[tuple[Path, Path]] = set()
"""The models of which this process could make no copy, with the folder of copies: it may take minutes to find out."""


def cache_folder() -> Path:
    """The folder of all copies."""
    return cache_home() / "converted"


def converted_folder(folder: Path, progress: Callable[[], None] = lambda: None) -> Path:
    """Return the folder to load the model of ``folder`` from: a copy if it has to be converted, else the same one.

    The copy is made if there is none; ``progress`` is called meanwhile. Where it can't be made, the model is loaded as
    it is, which is slower and takes memory.
    """
    try:
        shards = _to_convert(folder)
    except _UNREADABLE as error:
        # Loading the model says what is wrong with it.
        _log.debug("%s was not looked at: %s", folder, error)
        return folder
    key = folder, cache_folder()
    if not shards or key in _failed:
        return folder
    try:
        return _copy(folder, shards, progress)
    except (OSError, ValueError) as error:
        _failed.add(key)
        _log.warning("no converted copy of %s: %s; its experts are converted in memory at each load", folder, error)
        return folder


def bytes_to_convert(folder: Path) -> int:
    """Return the size of the experts that each load of this folder converts in memory."""
    try:
        shards = _to_convert(folder)
        return sum(read_header(path)[name].size_bytes for path, names in shards.items() for name in names)
    except _UNREADABLE:
        return 0


def _to_convert(folder: Path) -> Mapping[Path, Sequence[str]]:
    """The shards with experts that the installed transformers stores transposed, and the names of these."""
    config = json.loads((folder / "config.json").read_bytes())
    if config.get("model_type") not in _MIXTURES:
        return {}
    expected = _expected_shapes(config["text_config"])
    shards = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        names = []
        for name, tensor in read_header(path).items():
            wanted = next((shape for end, shape in expected.items() if name.endswith(end)), None)
            count, rows, columns = (*tensor.shape, 0, 0, 0)[:3]
            if wanted is not None and tensor.shape != wanted and (count, columns, rows) == wanted:
                names.append(name)
        if names:
            shards[path] = names
    return shards


def _expected_shapes(text_config: Mapping[str, Any]) -> Mapping[str, tuple[int, ...]]:
    """The shapes of one layer's experts in the installed transformers."""
    import torch
    from transformers.models.qwen3_vl_moe.configuration_qwen3_vl_moe import Qwen3VLMoeTextConfig
    from transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe import Qwen3VLMoeTextExperts

    with torch.device("meta"):
        experts = Qwen3VLMoeTextExperts(Qwen3VLMoeTextConfig(**text_config))
    shapes = {name: tuple(parameter.shape) for name, parameter in experts.named_parameters()}
    return {end: shapes[end.rpartition(".")[2]] for end in _EXPERTS}


def _copy(folder: Path, shards: Mapping[Path, Sequence[str]], progress: Callable[[], None]) -> Path:
    """Return the copy, after making it or waiting for the worker that makes it."""
    of_model = cache_folder() / hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
    of_model.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Other files are links in the copy: what is in them may change.
    stamps = [
        f"{path.name}|{status.st_size}|{status.st_mtime_ns}" if path.suffix in (SUFFIX, ".json") else path.name
        for path, status in _files(folder)
    ]
    copy = of_model / hashlib.sha256("\n".join([_VERSION, *stamps]).encode()).hexdigest()[:16]
    while (lock := try_lock(of_model / ".lock")) is None:
        progress()  # the worker that makes it has a time limit of its own
        time.sleep(_LOOK_SECONDS)
    try:
        if not _is_whole(copy):
            for older in of_model.iterdir():
                if older.is_dir():  # of files that have changed since, or cut off
                    shutil.rmtree(older)
            _make(folder, shards, copy, progress)
        return copy
    finally:
        os.close(lock)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    return ((path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file())


def _is_whole(copy: Path) -> bool:
    """Whether the copy was made to its end, and nobody has changed it since."""
    try:
        recorded = json.loads((copy / _COMPLETE).read_bytes())
        return bool(recorded) and all(_stamp(copy / name) == stamp for name, stamp in recorded.items())
    except (OSError, ValueError, AttributeError):
        return False


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _make(folder: Path, shards: Mapping[Path, Sequence[str]], copy: Path, progress: Callable[[], None]) -> None:
    """Make the copy: shards with experts anew, links to all other files.

    Raises:
        OSError: it can't be written.
    """
    needed = int(sum(path.stat().st_size for path in shards) * _ROOM)
    free = shutil.disk_usage(copy.parent).free
    if free < needed:
        raise OSError(f"{copy.parent} has {free / 1e9:.1f} GB free, and it takes {needed / 1e9:.1f} GB")
    _log.info("making a converted copy of %s in %s (%.1f GB), once for this machine", folder, copy, needed / 1e9)
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.mkdir(mode=0o700)
    try:
        for path, _ in _files(folder):
            if path not in shards:
                (unfinished / path.name).symlink_to(path.absolute())
        with ThreadPoolExecutor(min(_THREADS, len(shards)), "convert") as pool:
            for shard in [
                pool.submit(_convert, path, names, unfinished / path.name, progress) for path, names in shards.items()
            ]:
                shard.result()
        stamps = {path.name: _stamp(unfinished / path.name) for path in shards}
        (unfinished / _COMPLETE).write_text(json.dumps(stamps))
        unfinished.rename(copy)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _convert(source: Path, names: Sequence[str], target: Path, progress: Callable[[], None]) -> None:
    """Write a shard in which these tensors are transposed. All tensors stay where they are in the file."""
    import numpy as np

    with source.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    data = np.memmap(source, np.uint8, "r")
    places = sorted((header[name]["data_offsets"], name) for name in header if name != "__metadata__")
    for name in names:
        count, rows, columns = header[name]["shape"]
        header[name]["shape"] = [count, columns, rows]
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > length:
        raise DamagedFileError(f"{source} has a header that is shorter than its content")
    with target.open("wb") as file:
        file.write(struct.pack("<Q", length) + text.ljust(length))
        for (start, end), name in places:
            stored = data[8 + length + start : 8 + length + end]
            if name in names:
                count, columns, rows = header[name]["shape"]
                width = len(stored) // (count * rows * columns)
                experts: Any = stored.view(f"u{width}").reshape(count, rows, columns)
                for expert in experts:
                    file.write(np.ascontiguousarray(expert.T))
                    progress()
            else:
                file.write(stored.data)
                progress()
        file.flush()
        os.fsync(file.fileno())
