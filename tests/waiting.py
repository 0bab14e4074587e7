"""Waiting for something that another process does: by looking, with a limit, and without a fixed sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: it did not hold in time; a limit for a hang, not a measurement.
    """
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come about in {seconds:g} s"
        pause.wait(0.02)
