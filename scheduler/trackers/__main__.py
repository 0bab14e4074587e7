"""Sends one run to one tracker: ``python -m scheduler.trackers``, with a ``Sending`` as JSON on standard input.

The answer is a ``Sent`` as JSON on standard output. What libraries print goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping

import msgspec
import psutil

from scheduler.base.text import one_line
from scheduler.trackers.declaration import TRACKERS
from scheduler.trackers.sending import Sending, Sent

_SECRET_NAME = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL", re.IGNORECASE)


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


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return a text without passwords in addresses and without the values of variables that look secret."""
    for name, value in environment.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return one_line(re.sub(r"//[^/@\s]*@", "//", text), 600)


if __name__ == "__main__":
    main()
