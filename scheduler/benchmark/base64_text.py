"""Decodes a base64 string of a JSON file piece by piece: only the result is in memory.

Accepted: a ``data:...;base64,`` prefix, whitespace anywhere, JSON escapes, and the URL-safe letters ``-`` and ``_``.
Padding is required: it shows that the string was not cut off.
"""

from __future__ import annotations

import binascii
import io
import json
import re
from collections.abc import Iterable, Iterator

import pybase64

from scheduler.benchmark.pairs import PairError

_WHITESPACE = b" \t\r\n\f\v"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_PREFIX = re.compile(rb"data:[^,]{0,1000};base64,", re.IGNORECASE)
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=]")
_LONGEST_ESCAPE = 6  # \uXXXX
_PREFIX_ROOM = 1100


def decode_base64(chunks: Iterable[bytes]) -> bytes:
    """Decode the inside of a JSON string, given in pieces of any size; raises ``PairError`` (``bad_base64``)."""
    result = io.BytesIO()  # its getvalue() does not copy, as bytes(bytearray) would
    rest = b""
    ended = False
    for piece in _without_head(_unescaped(chunks)):
        letters = rest + piece
        if ended and _in_standard_letters(letters):
            raise PairError("bad_base64", "the base64 text goes on behind its padding")
        whole = len(letters) - len(letters) % 4
        try:
            result.write(pybase64.b64decode(letters[:whole], validate=True))
        except binascii.Error:
            # Rare: whitespace or other letters. Decoding them is ten times as slow.
            letters = _in_standard_letters(letters)
            whole = len(letters) - len(letters) % 4
            result.write(_decode(letters[:whole]))
        ended = ended or letters[:whole].endswith(b"=")
        rest = letters[whole:]
    if _in_standard_letters(rest):
        raise PairError("bad_base64", "the base64 text is cut off: its length is no multiple of four")
    if not result.tell():
        raise PairError("bad_base64", "the base64 text is empty")
    return result.getvalue()


def _in_standard_letters(text: bytes) -> bytes:
    """Return the letters without whitespace, in the standard alphabet."""
    return text.translate(_URL_SAFE, _WHITESPACE)


def _without_head(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the text without leading whitespace and without a ``data:`` prefix."""
    head: bytes | None = b""
    for chunk in chunks:
        if head is None:
            yield chunk
            continue
        head = (head + chunk).lstrip(_WHITESPACE)
        if len(head) >= _PREFIX_ROOM:
            yield _without_prefix(head)
            head = None
    if head:
        yield _without_prefix(head)


def _without_prefix(text: bytes) -> bytes:
    prefix = _PREFIX.match(text)
    if prefix is None and text[:5].lower() == b"data:":
        raise PairError("bad_base64", f"the data URI is not base64: it begins with {text[:40]!r}")
    return text[prefix.end() :] if prefix else text


def _unescaped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Undo JSON's escapes. One that a chunk's end cuts is kept for the next chunk."""
    held = b""
    for chunk in chunks:
        piece = held + chunk
        cut = piece.rfind(b"\\", max(0, len(piece) - _LONGEST_ESCAPE + 1))
        held = piece[cut:] if cut >= 0 else b""
        yield _unescape(piece[:cut] if cut >= 0 else piece)
    yield _unescape(held)


def _unescape(piece: bytes) -> bytes:
    if b"\\" not in piece:
        return piece
    try:
        text: str = json.loads(b'"' + piece + b'"', strict=False)
        return text.encode("ascii")
    except ValueError as error:
        raise PairError("bad_base64", f"the base64 text has a wrong escape: {error}") from error


def _decode(letters: bytes) -> bytes:
    try:
        return binascii.a2b_base64(letters, strict_mode=True)
    except binascii.Error as error:
        foreign = _FOREIGN.search(letters)
        reason = f"{foreign.group()!r} is not a base64 letter" if foreign else str(error)
        raise PairError("bad_base64", f"the base64 text is wrong: {reason}") from error
