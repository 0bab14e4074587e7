"""The log of a run: one line per event in the file, whatever its text, and the same events on the console.

Console lines go through rich, so that they appear above the live screen.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.base.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

LOGGER_NAME = "warmbench"
LONGEST_LINE = 20_000
_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red", "DEBUG": "dim"}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def configure_logging(level: str, file: Path | None, console: Console | None, debug: bool) -> logging.Logger:
    """Set up the logger ``warmbench`` and return it. ``debug`` shows everything, whatever the ``level``.

    Tracebacks go to the file (in one line, newlines as ``\\n``); the console shows them only with ``debug``.

    Raises:
        ValueError: the level is not one of Python's.
        OSError: the file cannot be opened. Its folder is made if it is missing.
    """
    if level.upper() not in _LEVELS:
        raise ValueError(f"logging.level: {level!r} is none of {', '.join(_LEVELS)}")
    logger = logging.getLogger(LOGGER_NAME)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel("DEBUG" if debug else level.upper())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        logger.addHandler(_LineFile(file))
    if console is not None:
        logger.addHandler(_ConsoleLines(console, tracebacks=debug))
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


class _OneLine(logging.Formatter):
    """``2026-01-31 12:34:56.789 INFO message``, local time."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        text = super().format(record)
        return f"{when}.{int(record.msecs):03d} {record.levelname} {one_line(text, LONGEST_LINE)}"


class _LineFile(logging.FileHandler):
    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(_OneLine("%(message)s"))
        self._complained = False

    def close(self) -> None:
        # Closing writes again what a full disk refused, which was reported at once.
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        # A full disk must not print a traceback per line.
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._complained:
            self._complained = True
            with contextlib.suppress(OSError):
                print(f"warmbench: cannot write the log {self.baseFilename}: {error}", file=sys.stderr)


class _ConsoleLines(logging.Handler):
    def __init__(self, console: Console, *, tracebacks: bool) -> None:
        super().__init__()
        self._console = console
        self._tracebacks = tracebacks

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text

        try:
            line = one_line(record.getMessage(), LONGEST_LINE)
            if record.levelno != logging.INFO:
                line = f"{record.levelname}: {line}"
            self._console.print(Text(line, style=_STYLES.get(record.levelname, "")), soft_wrap=True)
            if self._tracebacks and record.exc_info:
                trace = logging.Formatter().formatException(record.exc_info)
                for part in trace.splitlines():
                    self._console.print(Text(one_line(part, LONGEST_LINE), style="dim"), soft_wrap=True)
        except Exception:  # noqa: BLE001 - a line that cannot be shown must not end a run
            self.handleError(record)
