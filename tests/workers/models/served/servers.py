"""Servers of tests, as a worker has them, and their processes."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from tests.processes import has_ended
from workers.interface import WorkerContext
from workers.models.served.process import ServedProcess, ServerSettings

FILES = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
"""A server of the standard library: its root answers 200."""

STUBBORN = f"""
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid(); time.sleep(1000)"
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", child])
os.execv(sys.executable, {FILES!r}[:3] + [sys.argv[1]] + {FILES!r}[4:])
"""
"""It ignores SIGTERM, and so do two processes in sessions of their own that it starts."""


class Words:
    """What the worker was told."""

    def __init__(self, folder: Path, pool: str = "pool") -> None:
        self.progressed = 0
        self.broken: list[str] = []
        self.outdated: list[str] = []
        folder = folder / pool
        folder.mkdir(exist_ok=True)
        self.context = WorkerContext(
            "reward-0", folder, self._progressed, self.broken.append, pool, self.outdated.append
        )

    def _progressed(self) -> None:
        self.progressed += 1


def served(words: Words, command: list[str], **settings: object) -> ServedProcess:
    given = {"ready": "/", "start_timeout_seconds": 20.0, **settings}
    return ServedProcess("reward", ServerSettings(command=command, **given), words.context, term_seconds=0.2)  # type: ignore[arg-type] # settings of several types


def processes(folder: Path) -> list[psutil.Process]:
    """The guard of a server whose log is in this folder, and all its processes."""
    guards = [
        process for process in psutil.process_iter(["cmdline"]) if any(str(folder) in part for part in cmdline(process))
    ]
    return guards + [child for guard in guards for child in guard.children(recursive=True)]


def cmdline(process: psutil.Process) -> list[str]:
    return process.info["cmdline"] or []


def gone(found: list[psutil.Process]) -> bool:
    return all(map(has_ended, found))
