"""Whether a process is alive, and a descriptor that shows its end at once.

A process is named by its pid *and* its creation time: pids are reused.
"""

from __future__ import annotations

import errno
import os
import select

import psutil

_CLOCK_TOLERANCE = 1.5
"""Seconds. Two readings of one process's creation time differ by less, two processes with the same pid by more."""


def create_time(pid: int) -> float:
    """Return when the process was created, in seconds since the epoch; raises ``ProcessLookupError``."""
    try:
        return psutil.Process(pid).create_time()
    except (psutil.Error, ValueError) as error:  # ValueError: a negative pid
        raise ProcessLookupError(f"no process {pid}") from error


def is_alive(pid: int, created: float) -> bool:
    """Whether this process is still running. A zombie is not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < _CLOCK_TOLERANCE and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def open_pidfd(pid: int, created: float) -> int | None:
    """A descriptor that becomes readable when this process ends, or None if it has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except OverflowError:
        return None
    except OSError as error:
        # EINVAL and ENOENT: not a pid, or the id of a thread.
        if error.errno in (errno.ESRCH, errno.EINVAL, errno.ENOENT):
            return None
        raise
    # The pid is pinned only from here on; an earlier check would prove nothing.
    if not is_alive(pid, created):
        os.close(descriptor)
        return None
    return descriptor


def has_ended(pidfd: int, seconds: float | None = 0.0) -> bool:
    """Whether the process of this descriptor has ended, or does so in this time; None waits for it."""
    poller = select.poll()  # select() takes no descriptor above 1023
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(None if seconds is None else seconds * 1000))
