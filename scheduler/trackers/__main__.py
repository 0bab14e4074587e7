"""Sends one run to one tracker: ``python -m scheduler.trackers``, with a ``Sending`` as JSON on standard input.

The answer is a ``Sent`` as JSON on standard output. What libraries print goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import msgspec
import psutil

from scheduler.trackers.declaration import TRACKERS
from scheduler.trackers.sending import Sending, Sent, without_secrets


def main() -> None:
    """Send, answer, and end."""
    answer = os.dup(1)
    os.dup2(2, 1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Sending)
    # The run ends this process when its time is over; this is for when the run has been killed.
    signal.setitimer(signal.ITIMER_REAL, order.timeout_seconds + 5)
    try:
        sent = Sent(where=TRACKERS.get(order.tracker).send(order.run, order.options))
    except BaseException as error:  # noqa: BLE001 - a tracker may raise anything, SystemExit included
        sent = Sent(problem=without_secrets(f"{type(error).__name__}: {error}", os.environ))
    os.write(answer, msgspec.json.encode(sent))
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


if __name__ == "__main__":
    main()
