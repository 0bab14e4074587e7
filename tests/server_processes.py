"""The processes of the server that a run's workers have started."""

from __future__ import annotations

import contextlib

import psutil

from tests.harness import User


def server_processes(user: User) -> list[psutil.Process]:
    """The processes of the server, the first of which it is."""
    found: list[psutil.Process] = []
    for process in user.processes():
        with contextlib.suppress(psutil.Error):  # it ends meanwhile
            if "workers.models.served.guard" in process.cmdline():
                found += process.children(recursive=True)
    return found
