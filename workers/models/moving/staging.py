"""Copies bytes of files and of host memory to a device, through two buffers: one is filled while the other is sent.

The buffers are pinned for a GPU. Weights are read from open files and not through their mapping: where a file was
truncated, reading ends early, but a mapping would end the process with SIGBUS.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from workers.interface import ModelError

_log = logging.getLogger(__name__)

BUFFER_BYTES = 128 * 1024**2
_PIECE_BYTES = 16 * 1024**2
_READERS = 4
"""One thread copies about 8 GB/s out of the page cache, less than a GPU takes."""


class OpenFiles:
    """Files by path. They stay open, and so remain the same files if others take their names."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        weakref.finalize(self, _close_all, self._descriptors)

    def open(self, path: str) -> None:
        """Open the file, unless it is open.

        Raises:
            ModelError: of kind ``stale``: it is gone.
        """
        if path not in self._descriptors:
            try:
                self._descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise ModelError("stale", f"the weight file {path} can't be opened any more: {error}") from error

    def read(self, path: str, offset: int, buffer: memoryview) -> None:
        """Fill the buffer with the file's bytes from ``offset`` on.

        Raises:
            ModelError: of kind ``stale``: the file ends before; of kind ``load``: it can't be read.
        """
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._descriptors[path], [buffer[done:]], offset + done)
            except OSError as error:
                raise ModelError("load", f"the weight file {path} can't be read: {error}") from error
            if count == 0:
                length = f"it ends at byte {offset + done}, before the weights do"
                raise ModelError("stale", f"the weight file {path} was truncated after it was loaded: {length}")
            done += count


@dataclass(frozen=True)
class Copy:
    """All bytes of ``target``, on the device, come from the file ``path`` from position ``at`` on.

    Without ``path`` they come from host memory at the address ``at``.
    """

    target: torch.Tensor
    path: str | None
    at: int

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.target.numel())


@dataclass(frozen=True)
class _Piece:
    """A part of a copy, and its place in the buffer."""

    copy: Copy
    start: int
    size: int
    place: int


def copy_to_devices(copies: Sequence[Copy], files: OpenFiles) -> None:
    """Make all copies, one device after the other; afterwards the bytes are there.

    Raises:
        ModelError: of kind ``stale`` or ``load``: a file can't be read as far as needed.
        torch.OutOfMemoryError: there is no memory for the buffers.
    """
    for device in dict.fromkeys(copy.target.device for copy in copies):
        _copy_to([copy for copy in copies if copy.target.device == device], files, device)


def _copy_to(copies: Sequence[Copy], files: OpenFiles, device: torch.device) -> None:
    size = min(BUFFER_BYTES, sum(copy.size for copy in copies))
    if not size:
        return
    buffers = [_Buffer(size, device), _Buffer(size, device)]
    with ThreadPoolExecutor(_READERS, "weights") as readers:
        for pieces, buffer in zip(_loads(copies, size), itertools.cycle(buffers), strict=False):
            buffer.wait()
            for _ in readers.map(lambda piece, into=buffer: into.fill(piece, files), pieces):
                pass  # raises what a reader raised
            buffer.send(pieces)
    for buffer in buffers:
        buffer.wait()


class _Buffer:
    def __init__(self, size: int, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._data = _pinned(size) if on_gpu else torch.empty(size, dtype=torch.uint8)
        self._memory = memoryview(self._data.numpy())
        self._sent: Any = torch.cuda.Event() if on_gpu else None

    def fill(self, piece: _Piece, files: OpenFiles) -> None:
        at = piece.copy.at + piece.start
        if piece.copy.path is None:
            ctypes.memmove(self._data.data_ptr() + piece.place, at, piece.size)
        else:
            files.read(piece.copy.path, at, self._memory[piece.place : piece.place + piece.size])

    def send(self, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            data = self._data[piece.place : piece.place + piece.size]
            piece.copy.target[piece.start : piece.start + piece.size].copy_(data, non_blocking=True)
        if self._sent is not None:
            self._sent.record()

    def wait(self) -> None:
        """Wait until the device has what was sent last."""
        if self._sent is not None:
            self._sent.synchronize()


def _pinned(size: int) -> torch.Tensor:
    """Pinned memory, or pageable memory where the driver refuses to pin: then copies are slower."""
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError as error:
        _log.warning("no pinned memory, so weights move to the device slowly: %s", str(error).partition("\n")[0])
        return torch.empty(size, dtype=torch.uint8)


def _loads(copies: Sequence[Copy], size: int) -> Iterator[list[_Piece]]:
    """All bytes of the copies as pieces, in lists that fill one buffer of ``size`` bytes each."""
    load: list[_Piece] = []
    place = 0
    for copy in copies:
        start = 0
        while start < copy.size:
            if place == size:
                yield load
                load, place = [], 0
            length = min(copy.size - start, size - place, _PIECE_BYTES)
            load.append(_Piece(copy, start, length, place))
            start, place = start + length, place + length
    yield load


def _close_all(descriptors: dict[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
