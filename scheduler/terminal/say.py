"""Lines of text on a console, whatever is in them."""

from __future__ import annotations

import contextlib
import os
import sys

from rich.console import Console
from rich.text import Text


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print each. Text is never parsed as markup, and with soft_wrap a path stays in one piece to be copied."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


class PatientConsole(Console):
    """For a run, which goes on when who reads along has left (``| head``); rich would end the process."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        stdout_to_nowhere()


def stdout_to_nowhere() -> None:
    """Nobody reads what is printed any more: what is left of it must not fail when the process ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
