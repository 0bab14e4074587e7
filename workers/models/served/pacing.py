"""Decides how many requests a server gets at once, and when a failed one is made again.

No clocks, sockets or chance here: times (seconds of any steady clock) and random numbers are passed in.

The first request is alone: what is wrong with all of them (a key, a model's name, a parameter) shows there. Then a few
are in flight, and one more with each answer. The limit is halved when the server refuses a request because there are
too many, or when more than a few fail for other reasons of its own, once for all requests that were in flight then. It
grows back to just below where it was refused, and from there by one for ``_PROBE_ROUNDS`` full rounds of answers, and
faster the longer that goes well: the server may take more by now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FEW = 4
"""The limit once the first request is answered."""
MAX_PAUSE = 300.0
"""The longest pause, in seconds, that a server can ask for: a longer one is taken for a mistake."""

_PROBE_ROUNDS = 16
_BY_CHANCE, _FEWEST = 1.25, 3
_FEW_FAILURES, _SHARE = 3, 3
"""Failures that are fewer than three, or than one of three requests, say nothing about how many the server takes."""
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 15.0


@dataclass(frozen=True)
class Ticket:
    """The right to make one request. ``period`` counts the halvings before it."""

    period: int


class Pacing:
    """The requests to one server."""

    def __init__(self, most: int) -> None:
        """``most`` is the most requests in flight."""
        self._most = most
        self._limit = FEW
        self._in_flight = 0
        self._period = 0
        self._ceiling: int | None = None
        self._answers, self._probe_rounds = 0, _PROBE_ROUNDS
        self._recent = self._recent_failures = self._in_a_row = 0
        self._paused_until = -math.inf
        self._began = False

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return min(self._limit, self._most) if self._began else 1

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._in_flight

    @property
    def failures_in_a_row(self) -> int:
        """How often the server was in trouble since its last answer to any request."""
        return self._in_a_row

    def begin(self, most: int) -> None:
        """Other requests than before follow: the first of them is alone. ``most`` is the most in flight."""
        self._most, self._began = most, False

    def admit(self, now: float) -> Ticket | None:
        """The right to make a request now, or None: wait until one ends, or for ``pause``."""
        if self._in_flight >= self.limit or self.pause(now) > 0:
            return None
        self._in_flight += 1
        return Ticket(self._period)

    def pause(self, now: float) -> float:
        """For how many seconds the server wants no requests."""
        return max(0.0, self._paused_until - now)

    def answered(self, ticket: Ticket) -> None:  # noqa: ARG002 - what every end of a request gets
        """The server answered, whatever it said: it takes this many requests."""
        is_used = self.limit < 2 * self._in_flight <= 2 * self.limit
        self._in_flight -= 1
        self._note(failed=False)
        if not self._began:
            self._began = True
        elif is_used:
            self._grow()

    def ended(self, ticket: Ticket) -> None:  # noqa: ARG002 - what every end of a request gets
        """The request ended without saying anything about the server, such as by being cancelled."""
        self._in_flight -= 1

    def refused(self, ticket: Ticket, now: float, retry_after: float | None, *, too_many: bool) -> None:
        """The server was in trouble. ``too_many``: it has more requests than it takes.

        ``retry_after`` are the seconds for which it wants none.
        """
        at, self._in_flight = self._in_flight, self._in_flight - 1
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + min(max(retry_after, 0.0), MAX_PAUSE))
        self._note(failed=True)
        many = self._recent_failures >= _FEW_FAILURES and self._recent_failures * _SHARE > self._recent
        if ticket.period == self._period and (too_many or many):
            if too_many and self._began:
                # Refused far below where it was refused before: then how many there are is not the reason.
                by_chance = self._ceiling is not None and _BY_CHANCE * at < self._ceiling
                self._ceiling = None if by_chance or at < _FEWEST else at - 1
            self._limit = max(1, min(self._limit, self._most) // 2)
            self._period += 1
            self._answers = self._recent = self._recent_failures = 0
            self._probe_rounds = _PROBE_ROUNDS
        elif too_many and self._ceiling is not None:
            # One of several that were refused together: the last of them shows best how many are taken.
            self._ceiling = max(self._limit, min(self._ceiling, at - 1))

    def _note(self, *, failed: bool) -> None:
        """Count what became of the last requests, about two rounds of them."""
        if self._recent >= 2 * max(self._limit, _SHARE):
            self._recent, self._recent_failures = self._recent // 2, self._recent_failures // 2
        self._recent += 1
        self._recent_failures += failed
        self._in_a_row = self._in_a_row + 1 if failed else 0

    def _grow(self) -> None:
        if self._limit >= self._most:
            return
        if self._ceiling is not None and self._limit >= self._ceiling:
            self._answers += 1
            if self._answers < self._limit * self._probe_rounds:
                return
            self._answers, self._ceiling = 0, self._limit + 1
            self._probe_rounds = max(1, self._probe_rounds // 2)
        self._limit += 1


def delay(failures: int, retry_after: float | None, random: Callable[[], float]) -> float:
    """How many seconds to wait before a request is made again that found the server in trouble ``failures`` times.

    It doubles with each, less a random part (``random`` gives 0 to 1) of up to a half, so that requests that failed
    together do not come back together. It is at least what the server asked for.
    """
    longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(max(0, failures - 1), 16))
    own = longest * (1 - random() / 2)
    return max(own, min(retry_after or 0.0, MAX_PAUSE))


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After header: a number, or a date of HTTP; None if it says nothing that can be read."""
    if header is None:
        return None
    text = header.strip()[:100]
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - now).total_seconds()
    return min(max(seconds, 0.0), MAX_PAUSE) if math.isfinite(seconds) else None
