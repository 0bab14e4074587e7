"""Prints lines of any text on a console."""

from __future__ import annotations

import contextlib
import os
import sys

from rich.console import Console
from rich.text import Text


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print each line. Text is never parsed as markup; with soft_wrap, a path can be copied in one piece."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


class PatientConsole(Console):
    """A console for commands that finish their work where nobody can read what they print: the reader of a pipe has
    left (``| head``), the terminal is gone, the disk is full.
    """

    def _check_buffer(self) -> None:
        # rich has no other place for that: it ends the process for a broken pipe, and raises any other error.
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        stdout_to_nowhere()


def stdout_to_nowhere() -> None:
    """Drop further output, of which nobody reads anything: flushing it at exit must not fail."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
