"""Waiting for something that another process does: by looking, with a limit, and without a fixed sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LONGEST_PAUSE = 2.0
"""In seconds. A look that took long because the machine stood still says little about the next one."""


def wait_until(
    condition: Callable[[], object], *, seconds: float = 60.0, otherwise: Callable[[], object] | None = None
) -> None:
    """Return as soon as the condition holds. ``otherwise`` gives what there is instead, for the message.

    Raises:
        AssertionError: it did not hold in time; a limit for a hang, not a measurement.
    """
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline, f"did not come about in {seconds:g} s" + (f": {otherwise()}" if otherwise else "")
        # Whoever looks takes time from those that it waits for: not more than a tenth of a core.
        pause.wait(min(max(0.02, 9 * (now - began)), _LONGEST_PAUSE))
