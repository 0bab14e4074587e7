"""Makes text from data safe to show on one line of a terminal, a log or a report.

A category name or a model's reply may hold newlines (forged log lines), escape sequences (a terminal's colours, title
or clipboard) or bidirectional overrides (which reorder what is read). They are shown as the escapes of Python and JSON:
``\\n``, ``\\u202e``.

U+200D and U+200C are kept: emoji and several scripts need them.
"""

from __future__ import annotations

import codecs
import math
import os
import re
from collections.abc import Callable, Iterable

from protocol.messages import ModelSpec

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls
    "\xad\u180e\u200b\u2060-\u2065\ufeff\ufff9-\ufffb"  # invisible
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # halves of a surrogate pair, which UTF-8 cannot encode
    "\U000e0000-\U000e007f"  # tags
    "]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
ELLIPSIS = "…"

CONVERT = "if it is GBK, convert it: iconv -f GB18030 -t UTF-8 OLD > NEW"
"""What to do with a file that is not UTF-8. GB18030 includes GBK."""


def one_line(text: object, limit: int | None = None) -> str:
    """Return ``str(text)`` with unprintable characters as escapes, cut to ``limit`` characters (at least 1).

    A text that was cut ends with an ellipsis.
    """
    line = str(text)
    cut = limit is not None and len(line) > limit
    if cut:
        line = line[:limit]
    line = _UNSAFE.sub(_visible, line)
    if limit is not None and (cut or len(line) > limit):
        line = line[: limit - 1] + ELLIPSIS
    return line


def model_title(spec: ModelSpec) -> str:
    """The model's name without its folders, or what it is if it has no name."""
    return os.path.basename(spec.name or "") or spec.type or spec.class_path or "-"  # noqa: PTH119 - may be no path


def encodable(text: str) -> str:
    """Return the text with lone halves of surrogate pairs as escapes, since UTF-8 cannot encode them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_gbk(pieces: Callable[[], Iterable[bytes]]) -> bool:
    """Whether a text can be GBK and is not UTF-8. ``pieces`` gives it from its beginning, each time it is called."""
    return not _decodes(pieces(), "utf-8") and _decodes(pieces(), "gb18030")


def _decodes(pieces: Iterable[bytes], encoding: str) -> bool:
    try:
        for _ in codecs.iterdecode(pieces, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """``1 pair``, ``2 pairs``, ``0 pairs``; ``plural`` is needed where it is not the singular with an s."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def all_are(number: int, noun: str) -> str:
    """``All 3 workers are``; of one: ``The worker is``."""
    return f"The {noun} is" if number == 1 else f"All {number} {noun}s are"


def format_size(count: int) -> str:
    """A number of bytes, such as ``57.7 GB``; 1 GB is 10^9 bytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def format_duration(seconds: float) -> str:
    """``3.2s``, ``48s``, ``4m 48s``, ``1h 4m 48s``. A negative duration (the clock was set back) counts as 0."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m {rest}s"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
