"""Prints lines of any text on a console."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print each line. Text is never parsed as markup; with soft_wrap, a path can be copied in one piece."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)
