"""Types of arguments, for ``argparse``, that several commands take."""

from __future__ import annotations

import argparse
import locale
import math
import os
import shlex
import shutil
from pathlib import Path

from scheduler.base.shard import Shard


def path(text: str) -> Path:
    """Return a path, or raise ``ArgumentTypeError`` for an empty text, which would mean the working directory."""
    return Path(given(text))


def given(text: str) -> str:
    """Return a text that is not empty, or raise ``ArgumentTypeError``."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def positive(text: str) -> int:
    """Return a whole number of at least 1, or raise ``ArgumentTypeError``."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def shard(text: str) -> Shard:
    """Return a shard (``2/8``), or raise ``ArgumentTypeError``."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def not_negative(text: str) -> float:
    """Return a number of at least 0, or raise ``ArgumentTypeError``."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return number


def typed(text: str) -> str:
    """Return a text that was typed in a terminal whose encoding is not UTF-8; a path stays as it is, in bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text).decode(locale.getencoding(), "surrogateescape")
    return text


def count_or_fraction(text: str) -> int | float:
    """Return a whole number as an ``int``, any other as a ``float``, or raise ``ArgumentTypeError``."""
    try:
        return int(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count nor a fraction") from None


def program(text: str) -> tuple[str, ...]:
    """Return the words of a command that is started without a shell, or raise ``ArgumentTypeError``."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read as a command: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("must not be empty")
    if shutil.which(words[0]) is None:
        hint = "; what needs a shell is written as sh -c '...'"
        raise argparse.ArgumentTypeError(f"there is no program {words[0]!r}{hint}")
    return tuple(words)
