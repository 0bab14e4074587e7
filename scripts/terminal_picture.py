"""What a command shows in a terminal, as a page for a browser: a real pseudo-terminal, read by an emulator (pyte)."""

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
"""So long nothing comes between two drawings of the screen: then it is whole."""

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
    """One that knows dim text, too, and keeps it where others keep italics, which nothing here uses."""

    def select_graphic_rendition(self, *attributes: int, **more: Any) -> None:
        extended = 38 in attributes or 48 in attributes
        super().select_graphic_rendition(*(3 if one == 2 and not extended else one for one in attributes), **more)


def watch(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], wanted: Callable[[str], bool]
) -> str:
    """Run the command in a terminal, to its end; return its screen, as HTML, at the first moment when the screen's text
    was ``wanted``.

    Raises:
        SystemExit: it never was, or the command failed.
    """
    screen = _Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    found = None
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        while (read := _read(ours, _QUIET_SECONDS)) is None or read:
            if read:
                stream.feed(read)
            elif found is None and wanted("\n".join(screen.display)):
                found = _page(screen)
    finally:
        os.close(ours)
    if process.wait() or found is None:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n" + "\n".join(screen.display))
    return found


def _read(terminal: int, seconds: float) -> bytes | None:
    """What has come; None if nothing came for so long, nothing at the end."""
    if not select.select([terminal], [], [], seconds)[0]:
        return None
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux tells that nobody holds the other end any more
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
