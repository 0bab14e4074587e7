"""What the kernel says of a process's memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_KB = 1024


@dataclass(frozen=True)
class MappedFiles:
    """The memory of some mapped files, in bytes: in memory at all, this process's share of it, and changed by it."""

    resident: int
    share: int
    changed: int


def private_bytes(pid: int) -> int:
    """The memory that belongs to this process alone: whatever it has written."""
    return _sum(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines(), "Anonymous", "Swap")


def mapped_files(pid: int, files: Iterable[Path]) -> MappedFiles:
    """The memory of the mappings of these files."""
    names, lines, inside = {str(file.resolve()) for file in files}, [], False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        fields = line.split(None, 5)
        if "-" in fields[0]:
            inside = len(fields) == 6 and fields[5] in names
        elif inside:
            lines.append(line)
    return MappedFiles(_sum(lines, "Rss"), _sum(lines, "Pss"), _sum(lines, "Anonymous", "Swap"))


def _sum(lines: Iterable[str], *names: str) -> int:
    prefixes = tuple(f"{name}:" for name in names)
    return sum(int(line.split()[1]) * _KB for line in lines if line.startswith(prefixes))
