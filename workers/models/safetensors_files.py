"""Reads the headers of safetensors files, which say what is in them; no weights, and no torch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from msgspec import Struct

from protocol.messages import Residency

SUFFIX = ".safetensors"
_LARGEST_HEADER = 100_000_000
"""The format's own limit."""

_FLOATS = {"float64": ("F64", 8), "float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2)}
"""The name in the format, and the bytes of a number, of each dtype that weights may be cast to."""
_FORMAT_NAMES = frozenset(name for name, _ in _FLOATS.values())


class DamagedFileError(ValueError):
    """A file is no safetensors file, or not a whole one."""


class StoredTensor(Struct, frozen=True):
    """A tensor in a file. ``dtype`` is the format's own name, such as ``BF16``."""

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


def read_header(path: Path) -> Mapping[str, StoredTensor]:
    """Return the tensors of a file by name, after checking that the file is as long as its header says.

    Raises:
        OSError: it can't be read.
        DamagedFileError: it is damaged or cut off.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _LARGEST_HEADER:
            raise DamagedFileError(f"{path} is no safetensors file")
        text = file.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {name: _tensor(entry) for name, entry in header.items()}
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DamagedFileError(f"{path} has a damaged header") from error
    size, whole = path.stat().st_size, 8 + length + end
    if size != whole:
        raise DamagedFileError(f"{path} has {size} bytes, and its header says {whole}")
    return tensors


def _tensor(entry: Mapping[str, Any]) -> StoredTensor:
    start, end = entry["data_offsets"]
    return StoredTensor(str(entry["dtype"]), tuple(map(int, entry["shape"])), int(end) - int(start))


def cast_bytes(files: Iterable[str | Path], dtype: str, *, straight: bool = False) -> int:
    """Return how much memory the weights take that have another dtype in their files than ``dtype`` (``auto``: none).

    Such a weight is a process's own copy; one with its file's dtype is a page of the mapped file. With ``straight``,
    folders count as nothing of which most is cast: that is done on the device.
    """
    folders: dict[Path, list[Path]] = {}
    for path in map(Path, files):
        folders.setdefault(path.parent, []).append(path)
    return sum(
        loaded_size(tensor, dtype)
        for folder, paths in folders.items()
        if not straight or stored_as(folder, dtype)
        for tensor in _tensors(paths)
        if _is_cast(tensor, dtype)
    )


def stored_as(folder: Path, dtype: str) -> bool:
    """Whether most of the bytes in the folder's safetensors are weights of this dtype (``auto``: of any).

    Then loading maps them. Weights of other types are converted, which takes memory. True for damaged files: loading
    them says what is wrong.
    """
    sizes = {True: 0, False: 0}
    for tensor in _tensors(folder.glob(f"*{SUFFIX}")):
        sizes[dtype not in _FLOATS or tensor.dtype == _FLOATS[dtype][0]] += tensor.size_bytes
    return sizes[True] >= sizes[False]


def _tensors(files: Iterable[str | Path]) -> Iterator[StoredTensor]:
    """All tensors. A file that can't be read counts as nothing: loading it reports what is wrong."""
    for path in map(Path, files):
        if path.suffix == SUFFIX:
            with contextlib.suppress(OSError, DamagedFileError):
                yield from read_header(path).values()


def _is_cast(tensor: StoredTensor, dtype: str) -> bool:
    return dtype in _FLOATS and tensor.dtype in _FORMAT_NAMES and tensor.dtype != _FLOATS[dtype][0]


def loaded_size(tensor: StoredTensor, dtype: str) -> int:
    """Return the bytes of a tensor when it is loaded as ``dtype`` (``auto``: as in its file)."""
    return prod(tensor.shape) * _FLOATS[dtype][1] if _is_cast(tensor, dtype) else tensor.size_bytes


def goes_straight(params: Mapping[str, Any], residency: Residency, devices: Sequence[str]) -> bool:
    """Whether weights that have to be converted go straight to their device, without a copy on the host."""
    whole = len(devices) == 1 and params.get("offload", "none") == "none"
    return residency == "device" and whole and devices[0] != "cpu"
