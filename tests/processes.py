"""What has become of processes."""

from __future__ import annotations

import psutil


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, if perhaps nobody has waited for it yet. It may end while it is looked at."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def has_ended_by_id(pid: int) -> bool:
    """The same, by its process id."""
    try:
        return has_ended(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True
