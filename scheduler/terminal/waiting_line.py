"""Says what a command waits for: on a terminal in one line that is drawn again, else in a line for each new reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scheduler.base.text import one_line
from scheduler.terminal.say import say


class WaitingLine:
    """Within the block, what is printed on the console appears above the line."""

    def __init__(self, console: Console, told: dict[str, str]) -> None:
        """``told`` has the kinds of reasons that were printed before, by subject; it is kept up to date."""
        self._console = console
        self._told = told
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, line: str, reasons: Mapping[str, tuple[str, str]]) -> None:
        """Show the ``line``; or print the new ones of the ``reasons``, which are a kind and a text by their subject."""
        if self._live is not None:
            width = max(self._console.width - 1, 1)
            self._live.update(Text(one_line(line, width), no_wrap=True), refresh=True)
            return
        for subject, (kind, text) in reasons.items():
            if self._told.get(subject) != kind:
                say(self._console, text)
        self._told.clear()
        self._told |= {subject: kind for subject, (kind, _) in reasons.items()}
