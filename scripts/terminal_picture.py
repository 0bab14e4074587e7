"""Turns a command's terminal screen into an HTML page: a real pseudo-terminal, read by an emulator (pyte)."""

from __future__ import annotations

import fcntl
import html
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

COLUMNS, ROWS = 100, 28
_QUIET_SECONDS = 0.1
"""If nothing arrives for this long, the screen is complete."""

_COLOURS = {
    "black": "#3b4048",
    "red": "#f2777a",
    "green": "#8fc98b",
    "brown": "#e6c06c",
    "blue": "#7fb2ea",
    "magenta": "#cf9be0",
    "cyan": "#74c6cd",
    "white": "#d7dae0",
    "brightblack": "#7f8791",
}
_STYLE = """
  body { margin: 0; background: #16181c; }
  pre {
    display: inline-block; margin: 0; padding: 16px 20px; color: #d7dae0;
    font: 14px/20px "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace;
  }
  b { font-weight: 600; color: #f2f3f5; }
  .dim { opacity: 0.6; }
  i {
    font-style: normal; display: inline-block; width: 16.86px; text-align: center; font-size: 15.5px; line-height: 19px;
  }
"""


class _Screen(pyte.Screen):
    """A screen that also knows dim text. It stores it as italics, which warmbench does not use."""

    def select_graphic_rendition(self, *attributes: int, **more: Any) -> None:
        extended = 38 in attributes or 48 in attributes
        super().select_graphic_rendition(*(3 if code == 2 and not extended else code for code in attributes), **more)


def watch(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], wanted: Callable[[str], bool]
) -> str:
    """Run the command in a terminal, to its end; return the first screen whose text was ``wanted``, as HTML.

    Raises:
        SystemExit: there was none, or the command failed.
    """
    screen = _Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    page = None
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        while (read := _read(ours, _QUIET_SECONDS)) is None or read:
            if read:
                stream.feed(read)
            elif page is None and wanted("\n".join(screen.display)):
                page = _page(screen)
    finally:
        os.close(ours)
    if process.wait() or page is None:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n" + "\n".join(screen.display))
    return page


def _read(terminal: int, seconds: float) -> bytes | None:
    """The bytes that have arrived; None if nothing arrives within ``seconds``, empty at the end."""
    if not select.select([terminal], [], [], seconds)[0]:
        return None
    try:
        return os.read(terminal, 65536)
    except OSError:  # on Linux: the other end is closed
        return b""


def _page(screen: pyte.Screen) -> str:
    lines = ["".join(_spans(screen.buffer[row])) for row in range(ROWS)]
    text = "\n".join(lines).rstrip()
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><pre>{text}</pre>"


def _spans(cells: Mapping[int, Any]) -> list[str]:
    spans = []
    shown = [cells[column] for column in range(COLUMNS)]
    wide = [column + 1 < COLUMNS and not shown[column + 1].data for column in range(COLUMNS)]
    for (colour, bold, dim), group in groupby(
        (column for column in range(COLUMNS) if shown[column].data),
        key=lambda column: (shown[column].fg, shown[column].bold, shown[column].italics),
    ):
        text = "".join(
            f"<i>{html.escape(shown[column].data)}</i>" if wide[column] else html.escape(shown[column].data)
            for column in group
        )
        if colour != "default":
            text = f'<span style="color:{_COLOURS.get(colour, f"#{colour}")}">{text}</span>'
        text = f"<b>{text}</b>" if bold else text
        spans.append(f'<span class="dim">{text}</span>' if dim else text)
    return spans
