"""The actor that runs one worker's command on a node of a Ray cluster.

Ray takes the class there by value, so the cluster's own Python needs no warmbench: this module imports the standard
library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_UNUSED_SECONDS = 60.0
"""An actor that nobody tells what to run goes after this time."""
_ENDED_SECONDS = 15.0
"""An actor whose process has ended goes after this time, if nobody comes for the exit code."""
_END_SECONDS = 5.0
_ALLOCATOR = frozenset({"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"})
"""If a node has one of these, its value stays."""


class WarmbenchWorker:
    """One worker's process. Its output goes to the actor's log files."""

    def __init__(self, incarnation: str) -> None:
        self._incarnation = incarnation
        self._process: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Event()
        self._unused = threading.Timer(_UNUSED_SECONDS, os._exit, (1,))
        self._unused.daemon = True
        self._unused.start()

    async def start(
        self, command: Sequence[str], key_file: str, environment: Mapping[str, str], before: str, pid_file: str
    ) -> dict[str, Any]:
        """Start the command, once an earlier process of the same worker is gone; return what ``about`` does.

        ``--key`` is added to the command, with ``key_file``. The variable ``before`` gets, as JSON, what the others of
        the ``environment`` were. A problem is returned as ``error``.
        """
        if self._process is not None:
            return self._about()
        key, file = Path(key_file).expanduser(), Path(tempfile.gettempdir()) / f"warmbench-ray-{os.getuid()}" / pid_file
        if not os.access(key, os.R_OK):
            text = (
                f"{socket.gethostname()} has no key file {key} that user {os.getuid()} can read: copy it there, or name"
            )
            return {"error": f"{text} a file that each node has as pool.ray.key_file_on_nodes"}
        keeps = _ALLOCATOR if _ALLOCATOR & os.environ.keys() else frozenset()
        variables = {name: value for name, value in environment.items() if name not in keeps}
        changed = {name: os.environ.get(name) for name, value in variables.items() if os.environ.get(name) != value}
        try:
            await asyncio.to_thread(end_earlier, file)
            self._process = await asyncio.create_subprocess_exec(
                *command,
                "--key",
                str(key),
                env={**os.environ, **variables, before: json.dumps(changed)},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            note(file, self._process.pid)
        except OSError as error:
            return {"error": f"{socket.gethostname()} cannot start {command[0]}: {error}"}
        self._unused.cancel()
        self._leaving = asyncio.ensure_future(self._leave())
        return self._about()

    async def about(self, incarnation: str) -> dict[str, Any] | None:
        """Return where the process runs; None if there is none of this incarnation."""
        return self._about() if self._process is not None and incarnation == self._incarnation else None

    def _about(self) -> dict[str, Any]:
        assert self._process is not None  # noqa: S101 - both callers have looked
        with contextlib.suppress(OSError):
            return {
                "host": socket.gethostname(),
                "pid": self._process.pid,
                "log": str(Path("/proc/self/fd/2").readlink()),
            }
        return {"host": socket.gethostname(), "pid": self._process.pid, "log": ""}

    async def wait(self) -> int:
        """Return the process's exit code once it and its group have ended, negative for a signal."""
        if self._process is None:
            return -signal.SIGKILL
        await self._ended.wait()
        return await self._process.wait()

    async def signal(self, number: int) -> None:
        """Send a signal to the process and all that it has started."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def stop(self) -> None:
        """End the process, with SIGTERM and then with SIGKILL."""
        if self._process is None:
            return
        await self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            await self.signal(signal.SIGKILL)
            await self._process.wait()

    async def _leave(self) -> None:
        """When the process has ended, end what it has left behind, and go if nobody comes for its exit code."""
        assert self._process is not None  # noqa: S101 - called once it runs
        await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._ended.set()
        await asyncio.sleep(_ENDED_SECONDS)
        os._exit(0)


def note(file: Path, pid: int) -> None:
    """Write down a process, for the next actor of its worker."""
    file.write_text(json.dumps({"pid": pid, "started": start_time(pid)}), encoding="utf-8")


def end_earlier(file: Path) -> None:
    """End the process that is written down, with its group, and wait until it has ended. Raises ``OSError``."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if file.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{file.parent} belongs to another user")
    try:
        earlier = json.loads(file.read_text(encoding="utf-8")[:1000])
        pid, started = int(earlier["pid"]), str(earlier["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    deadline = time.monotonic() + _END_SECONDS
    while start_time(pid) == started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"its earlier process {pid} does not end")
        time.sleep(0.05)
    file.unlink(missing_ok=True)


def start_time(pid: int) -> str | None:
    """Return when the process started, in ticks since the machine did; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
