"""Draws the live screen in a terminal: four times a second, in its own thread, and only if it has changed.

rich draws the screen again below every line that is printed above it, so it gets finished lines, without a layout.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.segment import Segment, SegmentLines

from scheduler.terminal.board import board
from scheduler.terminal.snapshot import Snapshot

log = logging.getLogger("warmbench")

PERIOD_SECONDS = 0.25


class LiveScreen:
    """Shows what ``look`` returns, which is called in the drawing thread."""

    def __init__(self, console: Console, look: Callable[[], Snapshot]) -> None:
        self._console = console
        self._look = look
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._drawn: list[list[Segment]] | None = None
        self._broken = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)

    def start(self) -> None:
        """Start drawing."""
        self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Draw one last time, and leave that on the terminal."""
        self._stopped.set()
        self._thread.join()
        self._draw()
        with contextlib.suppress(OSError):
            self._live.stop()

    def _work(self) -> None:
        while not self._stopped.wait(PERIOD_SECONDS) and not self._broken:
            self._draw()

    def _draw(self) -> None:
        if self._broken:
            return
        try:
            lines = rendered(self._console, self._look())
            if lines != self._drawn:
                self._drawn = lines
                self._live.update(SegmentLines(lines, new_lines=True), refresh=True)
        except OSError:
            self._broken = True  # the terminal is gone
        except Exception:
            # A broken screen must not end a run.
            self._broken = True
            log.exception("The screen can't be drawn any more")


def rendered(console: Console, snapshot: Snapshot) -> list[list[Segment]]:
    """The lines of the board, as this console shows them."""
    width, height = console.size
    return [list(line.render(console)) for line in board(snapshot, width, height)]
