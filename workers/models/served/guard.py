"""``python -m workers.models.served.guard``: runs a judge's server, and ends with it all that it has started.

A process between a worker and the server of the user's, since a worker may be killed at any moment and the server may
start processes of its own. It is the parent of all that it starts, also of what loses its own parent (a subreaper). It
reads an order from standard input, one JSON line; then the line ``stop`` ends the server gently (SIGTERM, then
SIGKILL), and the end of the input, which is the worker's death, at once. It writes one JSON line when the server has
started, and ends when the server and all its processes have ended. The server's log begins anew when it is too long.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

STOP = b"stop\n"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 1.0


def main() -> int:
    """Run the server to its end, and return its exit code."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopped, wake = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(wake, b"."))
    with open(0, "rb", buffering=0, closefd=False) as orders:
        order = json.loads(orders.readline())
    try:
        server = _start(order, lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    except (OSError, ValueError) as error:  # ValueError: a word with a NUL
        _report(error=f"{order['command'][0]}: {getattr(error, 'strerror', None) or error}")
        return 127
    _report(pid=server.pid)
    ended = os.pidfd_open(server.pid)
    ready: list[int] = []
    while not ready:
        ready, _, _ = select.select([0, stopped, ended], [], [], _LOOK_SECONDS)
        if os.path.getsize(order["log"]) > order["most_log_bytes"]:  # noqa: PTH202 - no object for each look
            os.truncate(order["log"], 0)
    if ended not in ready:
        gently = stopped in ready or os.read(0, len(STOP)) == STOP
        if gently:
            _signal_group(server.pid, signal.SIGTERM)
            _wait_for_all(server, order["term_seconds"])
    _kill_all(server)
    code = server.wait()
    return code if code >= 0 else 128 - code


def _start(order: dict[str, Any], die_with_parent: Callable[[], object]) -> subprocess.Popen[bytes]:
    with Path(order["log"]).open("ab") as log:
        return subprocess.Popen(
            order["command"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Safe: this process has one thread. The signal follows the end of that thread.
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )


def _report(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def _descendants() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def _wait_for_all(server: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        server.poll()
        with contextlib.suppress(psutil.Error):
            if not _descendants():
                return
        time.sleep(_POLL_SECONDS)


def _kill_all(server: subprocess.Popen[bytes]) -> None:
    """Kill what is left, also what it starts meanwhile."""
    while True:
        _signal_group(server.pid, signal.SIGKILL)
        left: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            left = _descendants()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not left:
            return
        _wait_for_all(server, _POLL_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
