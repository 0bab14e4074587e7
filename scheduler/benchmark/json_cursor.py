"""Reads a JSON file of any size from front to back, and builds only the values that are asked for.

A benchmark is short texts between images of megabytes. ``json.load`` takes twice the file's size in memory, and ijson
is quadratic in the depth of nesting and in the length of a string. This reader goes over the file in windows: it skips
values, remembers where a string lies, limits the depth, and looks at each byte a few times at most. (A memory map is as
fast, but its pages count as the process's memory, and a file that shrinks ends the process with SIGBUS.)

The grammar is checked everywhere. The inside of a string (escapes, UTF-8) is checked only when its text is read, so one
broken text does not spoil a file. As with ``json.loads(..., strict=False)``, NaN, Infinity and control characters in
strings are accepted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from io import FileIO
from typing import NoReturn

from msgspec import Struct

from scheduler.base.files import packed_as
from scheduler.base.text import CONVERT, is_gbk

MAX_DEPTH = 100
MAX_VALUES = 5_000_000
"""Keeps the reader from running for minutes; 100,000 pairs may have some twenty fields each."""
MAX_NUMBER = 4300  # characters; Python's own limit for the digits of an integer

_WINDOW = 1 << 20
_NOT_SPACE = re.compile(rb"[^ \t\n\r]")
_STRING_BODY = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR = re.compile(
    rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+|true|false|null|NaN|-?Infinity"
)  # fmt: skip
_QUOTE, _COMMA, _COLON = b'",:'
_OBJECT, _LIST, _END_OBJECT, _END_LIST = b"{[}]"
_FIRST_BYTES = frozenset(b'{["tfnNI-0123456789')
_CLOSER = {_OBJECT: _END_OBJECT, _LIST: _END_LIST}


class JsonError(ValueError):
    """The file is no JSON or exceeds a limit; the message has the reason and the byte."""


class Piece(Struct, frozen=True):
    """The place of a value in the file: bytes ``start`` to ``end``; of a string without its quotes."""

    kind: str
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Cursor:
    """A position in the file. Each method reads one value and moves behind it."""

    def __init__(self, file: FileIO) -> None:
        """Start at the beginning of the file, behind a byte order mark. All methods raise ``JsonError``."""
        self._file = file
        self._window = b""
        self._window_start = 0
        self._at = 0
        self._values = 0
        self._texts_in_utf8 = 0
        self._texts_in_another = 0
        self._example = b""
        self._fill(8)
        start = self._window[:4]
        if not start:
            raise JsonError("the file is empty")
        if packed := packed_as(self._window):
            raise JsonError(f"it is {packed}; unpack it")
        if start.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\0" in start and start.strip(b"\0")):
            raise JsonError("the file is text in UTF-16 or UTF-32; save it as UTF-8")
        if start.startswith(b"\xef\xbb\xbf"):
            self._at = 3

    # -- structure ----------------------------------------------------------------------------------------------------

    def next_kind(self) -> str:
        """The kind of the next value: ``object``, ``list``, ``text``, ``number``, ``true``, ``false``, ``null``."""
        byte = self._peek()
        if byte not in _FIRST_BYTES:
            self._fail("expected a value")
        return _kind(byte)

    def members(self) -> Iterator[Piece]:
        """Enter an object and yield each key. Its value must be read before the next key."""
        self._expect(_OBJECT, "an object")
        if self._peek() == _END_OBJECT:
            self._at += 1
            return
        while True:
            yield self._key()
            if not self._another(_END_OBJECT):
                return

    def items(self) -> Iterator[None]:
        """Enter a list and stop before each value, which must be read before the next step."""
        self._expect(_LIST, "a list")
        if self._peek() == _END_LIST:
            self._at += 1
            return
        while True:
            yield
            if not self._another(_END_LIST):
                return

    def skip(self) -> Piece:
        """Skip the next value and return its place."""
        first = self._peek()
        start = self._window_start + self._at
        closers = bytearray()
        while True:
            byte = self._peek()
            if byte == _QUOTE:
                piece = self._string()
                if not closers:
                    return piece
            elif byte in _CLOSER:
                self._at += 1
                if len(closers) == MAX_DEPTH:
                    self._fail(f"values are nested more than {MAX_DEPTH} deep")
                closers.append(_CLOSER[byte])
                if self._peek() != closers[-1]:
                    if byte == _OBJECT:
                        self._key()
                    continue
                self._count()
            else:
                self._scalar()
            while closers:
                if self._peek() == closers[-1]:
                    self._at += 1
                    closers.pop()
                elif self._another(closers[-1]):
                    if closers[-1] == _END_OBJECT:
                        self._key()
                    break
            if not closers:
                return Piece(_kind(first), start, self._window_start + self._at)

    def at_end(self) -> bool:
        """Whether only whitespace follows."""
        while (match := _NOT_SPACE.search(self._window, self._at)) is None:
            self._at = len(self._window)
            if not self._more():
                return True
        self._at = match.start()
        return False

    def finish(self) -> None:
        """Check that only whitespace follows."""
        if not self.at_end():
            self._fail("more text follows behind the end (for JSON Lines, set benchmark.format to jsonl)")

    # -- values -------------------------------------------------------------------------------------------------------

    def raw(self, piece: Piece) -> bytes:
        """Return the bytes of a value."""
        start = piece.start - self._window_start
        if start >= 0:
            return self._window[start : start + piece.length]
        return os.pread(self._file.fileno(), piece.length, piece.start)

    def text(self, piece: Piece) -> str:
        """Return the text of a string (not UTF-8: lone surrogates); raises ``ValueError`` for a wrong escape."""
        content = self.raw(piece)
        try:
            raw = content.decode()
            self._texts_in_utf8 += not raw.isascii()
        except UnicodeDecodeError:
            raw = content.decode("utf-8", "surrogateescape")
            self._texts_in_another += 1
            self._example = self._example or content
        text: str = json.loads(f'"{raw}"', strict=False) if "\\" in raw else raw
        return text

    def check_encoding(self) -> None:
        """Raise ``JsonError`` if the texts read so far show that the file is in another encoding than UTF-8.

        One text that is broken says nothing about the file; that most texts beyond ASCII are, does.
        """
        if self._texts_in_another > self._texts_in_utf8 and (
            self._texts_in_another > 1 or is_gbk(lambda: [self._example])
        ):
            raise JsonError(f"its texts are not UTF-8, such as {self._example[:40]!r}; {CONVERT}")

    # -- the bytes ----------------------------------------------------------------------------------------------------

    def _peek(self) -> int:
        while (match := _NOT_SPACE.search(self._window, self._at)) is None:
            self._at = len(self._window)
            if not self._more():
                self._fail("the file ends in the middle; it was cut off")
        self._at = match.start()
        return self._window[self._at]

    def _expect(self, byte: int, what: str) -> None:
        if self._peek() != byte:
            self._fail(f"expected {what}")
        self._at += 1

    def _another(self, closer: int) -> bool:
        """Move behind a comma (true) or the closing bracket (false)."""
        byte = self._peek()
        if byte not in {_COMMA, closer}:
            self._fail(f"expected ',' or '{chr(closer)}'")
        self._at += 1
        return byte == _COMMA

    def _key(self) -> Piece:
        if self._peek() != _QUOTE:
            self._fail("expected a key in double quotes")
        key = self._string()
        self._expect(_COLON, "':'")
        return key

    def _string(self) -> Piece:
        self._count()
        self._at += 1
        start = self._window_start + self._at
        while True:
            # Two finds are ten times as fast as the pattern, which only escapes need.
            quote = self._window.find(b'"', self._at)
            end = quote if quote >= 0 else len(self._window)
            escape = self._window.find(b"\\", self._at, end)
            body = _STRING_BODY.match(self._window, escape) if escape >= 0 else None
            self._at = body.end() if body else end
            if self._window[self._at : self._at + 1] == b'"':
                piece = Piece("text", start, self._window_start + self._at)
                self._at += 1
                return piece
            if not self._more():
                self._fail(f"the file ends within the string that begins at byte {start}; it was cut off")

    def _scalar(self) -> None:
        self._count()
        self._fill(MAX_NUMBER + 1)
        scalar = _SCALAR.match(self._window, self._at)
        if scalar is None:
            self._fail("expected a value")
        if scalar.end() - self._at > MAX_NUMBER:
            self._fail(f"a number has more than {MAX_NUMBER} characters")
        self._at = scalar.end()

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            self._fail(f"the file holds more than {MAX_VALUES} values")

    def _fill(self, wanted: int) -> None:
        """Read until the window has N bytes from here on, or the file ends."""
        while len(self._window) - self._at < wanted and self._more():
            pass

    def _more(self) -> bool:
        chunk = self._file.read(_WINDOW)
        if not chunk:
            return False
        self._window = self._window[self._at :] + chunk
        self._window_start += self._at
        self._at = 0
        return True

    def _fail(self, what: str) -> NoReturn:
        text = self._window[self._at : self._at + 20]
        raise JsonError(f"{what} (at byte {self._window_start + self._at}, found {text!r})")


def _kind(byte: int) -> str:
    kinds = {"{": "object", "[": "list", '"': "text", "t": "true", "f": "false", "n": "null"}
    return kinds.get(chr(byte), "number")
