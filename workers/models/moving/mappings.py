"""The files that this process maps, and whether mapped memory is still what its file holds."""

from __future__ import annotations

import bisect
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ENTRY_BYTES = 8
_PAGE = mmap.PAGESIZE
_PAGES = Path("/proc/self/pagemap")
_SYSTEM_FOLDERS = ("/dev/", "/proc/", "/memfd:", "/SYSV")


@dataclass(frozen=True)
class FileMapping:
    """The addresses from ``start`` to ``stop`` show the file's bytes from ``offset`` on."""

    start: int
    stop: int
    offset: int
    path: str

    def position(self, address: int) -> int:
        """The place in the file of the byte at this address."""
        return self.offset + address - self.start


class FileMappings:
    """The mappings of files through which nobody writes to the file, by address."""

    def __init__(self, mappings: Iterable[FileMapping]) -> None:
        self._mappings = sorted(mappings, key=lambda mapping: mapping.start)
        self._starts = [mapping.start for mapping in self._mappings]

    def at(self, start: int, stop: int) -> FileMapping | None:
        """The mapping that has all of these addresses, if there is one and the process changed none of their bytes."""
        mapping = self._find(start, stop)
        return None if mapping is None or _has_changed_pages(start, stop) else mapping

    def have(self, start: int, stop: int) -> bool:
        """Whether one mapping has all of these addresses, changed or not."""
        return self._find(start, stop) is not None

    def _find(self, start: int, stop: int) -> FileMapping | None:
        index = bisect.bisect_right(self._starts, start) - 1
        return None if index < 0 or self._mappings[index].stop < stop else self._mappings[index]


def file_mappings() -> FileMappings:
    """The mappings of this process at this moment."""
    return FileMappings(parse_mappings(os.fsdecode(Path("/proc/self/maps").read_bytes())))


def parse_mappings(text: str) -> list[FileMapping]:
    """The mappings in a text of the form of ``/proc/self/maps``; files that were removed are left out."""
    found = []
    for line in text.split("\n"):
        # Address, permissions, offset, device, inode, path: "7f57740d7000-7f57740db000 rw-p 00000000 fe:00 21468  /a b"
        fields = line.split(None, 5)
        if len(fields) < 6 or fields[1][1] + fields[1][3] == "ws":
            continue
        path = fields[5].replace("\\012", "\n")
        if path.startswith("/") and not path.startswith(_SYSTEM_FOLDERS) and not path.endswith(" (deleted)"):
            start, stop = (int(address, 16) for address in fields[0].split("-"))
            found.append(FileMapping(start, stop, int(fields[2], 16), path))
    return found


def _has_changed_pages(start: int, stop: int) -> bool:
    """Whether the process wrote to these addresses of a private mapping: such pages are copies of its own.

    True if the kernel does not say: then the bytes are read from memory.
    """
    first, last = start // _PAGE, -(-stop // _PAGE)
    try:
        with open(_PAGES, "rb", buffering=0) as file:  # noqa: PTH123 - Path.open takes longer
            entries = os.pread(file.fileno(), (last - first) * _ENTRY_BYTES, first * _ENTRY_BYTES)
    except OSError:
        return True
    if len(entries) != (last - first) * _ENTRY_BYTES:
        return True
    import numpy as np

    # Bits 63 and 62: the page is in memory, or swapped out. Bit 61: it belongs to a file.
    kinds = np.frombuffer(entries, dtype=np.uint64) >> np.uint64(61)
    return bool(((kinds >= 2) & (kinds % 2 == 0)).any())
