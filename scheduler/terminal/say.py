"""Lines of text on a console, whatever is in them."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def say(console: Console, *lines: str, style: str = "") -> None:
    """Print each. Text is never parsed as markup, and with soft_wrap a path stays in one piece to be copied."""
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)
