"""Makes any text that comes from data safe to show on one line: in a terminal, a log, a report.

A category name or a model's reply may hold newlines (forged log lines), escape sequences (a terminal's colours, title
or clipboard) or bidirectional overrides (text that reads otherwise than it is). They are shown, not acted upon: as the
escapes that Python and JSON use, ``\\n`` or ``\\u202e``.

U+200D and U+200C stay as they are: emoji and several scripts cannot be written without them.
"""

from __future__ import annotations

import math
import re

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls
    "\xad\u180e\u200b\u2060-\u2065\ufeff\ufff9-\ufffb"  # invisible
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # halves of a surrogate pair, which no UTF-8 stream takes
    "\U000e0000-\U000e007f"  # tags
    "]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
ELLIPSIS = "…"


def one_line(text: object, limit: int | None = None) -> str:
    """Return ``str(text)`` with what does not print made visible, at most ``limit`` characters (1 or more) long.

    A text that was shortened ends with an ellipsis.
    """
    line = str(text)
    cut = limit is not None and len(line) > limit
    if cut:
        line = line[:limit]
    line = _UNSAFE.sub(_visible, line)
    if limit is not None and (cut or len(line) > limit):
        line = line[: limit - 1] + ELLIPSIS
    return line


def encodable(text: str) -> str:
    """Return the text as UTF-8 can hold it: a lone half of a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_duration(seconds: float) -> str:
    """``3.2s``, ``48s``, ``4m 48s``, ``1h 4m 48s``. Less than nothing (a clock was set back) counts as nothing."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m {rest}s"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
