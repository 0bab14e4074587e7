"""Recognizes that a process has run out of memory, as Python, its modules and the system say it in several ways.

It imports nothing that is not there already: importing needs memory.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

_TEXTS = ("failed to map segment", "cannot allocate memory", "out of memory", "can't start new thread")


def exhausted(error: BaseException) -> str | None:
    """Return one line for the user if this error, or one that led to it, says that memory is used up; else None."""
    causes = [cause for cause in _causes(error) if _is_exhaustion(cause)]
    if not causes:
        return None
    first = causes[-1]  # those after it repeat it, with advice
    reason = " ".join(f"{type(first).__name__}: {first}".split()).removesuffix(":")
    return f"out of memory ({reason[:200]}){_limit()}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_exhaustion(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    if isinstance(error, SystemError):
        # An import that fails to allocate may lose its MemoryError. Without a limit it could be any extension's bug.
        return "without" in text and "exception" in text and bool(_limit())
    return isinstance(error, ImportError | RuntimeError) and any(known in text for known in _TEXTS)


def _limit() -> str:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return ""
    return f"; the address space is limited to {limit / 1e6:.0f} MB: raise it with `ulimit -v`"
