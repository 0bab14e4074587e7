"""How much host memory this process and its children can still take: what the machine has, and what its cgroups leave.

In a container or a batch job, the limit of a control group (version 1 or 2) is often far below the machine's memory.
Cached files count towards that limit, but the kernel reclaims them; anonymous, shared and locked memory it cannot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

_V1_TAKEN = ("total_rss", "total_shmem", "total_unevictable")
_V2_TAKEN = ("anon", "shmem", "unevictable")


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that can still be taken, cached files included. ``root`` holds ``proc`` and ``sys``.

    The limits of all parent groups hold as well. Swap does not count.
    """
    return max(0, min([_machine(root), *_left_by_groups(root)]))


def _machine(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise OSError(f"{root / 'proc/meminfo'} has no MemAvailable")


def _left_by_groups(root: Path) -> Iterator[int]:
    """What each of the groups leaves that this process is in."""
    for mount, group in _memory_groups(root):
        folder = group
        while folder.is_relative_to(mount):
            limit = _limit(folder)
            if limit is not None:
                yield limit - _taken(folder)
            folder = folder.parent


def _memory_groups(root: Path) -> Iterator[tuple[Path, Path]]:
    """The mount point of each hierarchy that may limit memory, and the folder of this process's group below it."""
    groups: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            groups["cgroup2"] = path
        elif "memory" in controllers.split(","):
            groups["cgroup"] = path
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind in groups and (kind == "cgroup2" or "memory" in options.split(",")):
            shown, mount = fields.split()[3:5]
            at = root / mount.lstrip("/")
            yield at, _folder(at, shown, groups[kind])


def _folder(mount: Path, shown: str, group: str) -> Path:
    """The folder of ``group`` where ``mount`` shows the hierarchy from ``shown`` on.

    In a container the two may not fit each other; then the mount point is the container's own group.
    """
    path = Path(group)
    below = mount / path.relative_to(shown) if path.is_relative_to(shown) else mount
    return below if below.is_dir() and ".." not in below.parts else mount


def _limit(folder: Path) -> int | None:
    """The limit of a group in bytes; None if it has none. (Version 1 writes a number near 2^63 then.)"""
    limits = []
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(int((folder / name).read_text()))
    return min(limits, default=None)


def _taken(folder: Path) -> int:
    """The bytes of a group, its children included, that the kernel cannot reclaim."""
    statistics = _statistics(folder)
    names = _V1_TAKEN if _V1_TAKEN[0] in statistics else _V2_TAKEN
    return sum(statistics.get(name, 0) for name in names)


def _statistics(folder: Path) -> Mapping[str, int]:
    words = (line.split() for line in _lines(folder / "memory.stat"))
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
