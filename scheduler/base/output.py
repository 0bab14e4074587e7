"""Standard output that may fail: a full disk, a closed pipe, a terminal that is gone."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Self, TextIO, cast


class Output:
    """Stands in for ``sys.stdout`` within the block. If it cannot be written, one line on stderr says so, and what
    follows is dropped: whoever prints need not care. A reader that has left (``| head``) needs no line.
    """

    def __init__(self) -> None:
        self.failed = False
        self._stream = sys.stdout  # None where the caller has closed it

    def __enter__(self) -> Self:
        if self._stream is not None:
            sys.stdout = cast("TextIO", self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self.flush()
            sys.stdout = self._stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        with contextlib.suppress(OSError):
            # What the stream still holds is written at exit, and that must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if not (self.failed or isinstance(error, BrokenPipeError)):
            with contextlib.suppress(OSError):
                reason = error.strerror or str(error)
                text = f"standard output cannot be written, so nothing more is shown: {reason}"
                print(f"warmbench: {text}", file=sys.stderr)
        self.failed = True
