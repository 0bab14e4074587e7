"""What fits: how many edits into the time that is left, and which model into which folder. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.full_size.jobs import OutOfTimeError

_LEAST_PAIRS = 2
"""One edit that does not count, since libraries choose their kernels in it, and one that does."""
_MARGIN = 1.2


class TooLittleSpaceError(Exception):
    """The models do not fit into the folders."""


@dataclass(frozen=True)
class EditTimes:
    """The seconds that an earlier run took: until its first edit began, for the first edit, and for each other one."""

    start: float
    first: float
    each: float

    def of(self, edits: int) -> float:
        """The seconds that a run of so many edits takes."""
        return self.start + self.first + (edits - 1) * self.each


def fitting_pairs(wanted: int, samples: int, left: float, times: EditTimes | None, extra: float) -> int:
    """Return how many pairs, at most ``wanted``, a run can edit in ``left`` seconds.

    ``extra``: the seconds by which this run's first edit takes longer than that of ``times``. Without ``times`` nothing
    is known yet, and all pairs are tried.

    Raises:
        OutOfTimeError: there is not even time for two edits.
    """
    if times is None:
        return wanted
    for pairs in range(wanted, 0, -1):
        if pairs * samples >= _LEAST_PAIRS and _MARGIN * (times.of(pairs * samples) + extra) <= left:
            return pairs
    least = math.ceil(_LEAST_PAIRS / samples) * samples
    needed = _MARGIN * (times.of(least) + extra)
    raise OutOfTimeError(f"{max(0.0, left):.0f} s left, about {needed:.0f} s needed")


def choose_folders(sizes: Mapping[str, int], free: Mapping[Path, int]) -> dict[str, Path]:
    """Return a folder for each model, such that all fit; the first folders are preferred.

    ``sizes``: the bytes that each model still needs. ``free``: the free bytes of each folder's disk, for folders on
    different disks.

    Raises:
        TooLittleSpaceError: there is no such choice.
    """
    for folders in itertools.product(free, repeat=len(sizes)):
        needed = dict.fromkeys(free, 0)
        for folder, size in zip(folders, sizes.values(), strict=True):
            needed[folder] += size
        if all(needed[folder] <= free[folder] for folder in free):
            return dict(zip(sizes, folders, strict=True))
    wanted = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in sizes.items())
    there = ", ".join(f"{folder} {size / 1e9:.1f} GB" for folder, size in free.items())
    raise TooLittleSpaceError(
        f"the models do not fit: needed are {wanted}; free are {there}: give more folders with --models"
        " (on a machine with much memory, one in /dev/shm), or limit the models' depth with --layers"
    )
