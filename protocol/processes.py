"""Telling whether a process still lives, and being told at once when it ends.

A process is meant by its pid *and* the time of its creation: pids are used again.
"""

from __future__ import annotations

import errno
import os

import psutil

_CLOCK_TOLERANCE = 1.5
"""Seconds. Two readings of one process's creation time differ by less; two processes of one pid by more."""


def create_time(pid: int) -> float:
    """When the process began, in seconds since the epoch.

    Raises:
        ProcessLookupError: there is no such process.
    """
    try:
        return psutil.Process(pid).create_time()
    except (psutil.Error, ValueError) as error:  # ValueError: a negative pid
        raise ProcessLookupError(f"no process {pid}") from error


def is_alive(pid: int, created: float) -> bool:
    """Whether this very process still runs. A zombie does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < _CLOCK_TOLERANCE and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def open_pidfd(pid: int, created: float) -> int | None:
    """A descriptor that turns readable when this very process ends, or None if it has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except OverflowError:
        return None
    except OSError as error:
        # EINVAL and ENOENT: no pid at all, or that of a thread.
        if error.errno in (errno.ESRCH, errno.EINVAL, errno.ENOENT):
            return None
        raise
    # Only now is the pid pinned; what was true before the call need not be.
    if not is_alive(pid, created):
        os.close(descriptor)
        return None
    return descriptor
