"""What those get that a worker or launcher does not know: next to nothing, however much they send.

What they send is dropped and counted. It is logged the first time, and then each time that the count has doubled; they
are told why nothing is done once in a while, for who never reads would have the answers pile up.
"""

from __future__ import annotations

import logging
from collections import Counter

_TELL_SECONDS = 1.0
_MOST_TOLD = 1024


class Strangers:
    """Counts what was dropped. Times are those of the monotonic clock."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._counts: Counter[str] = Counter()
        self._told: set[tuple[bytes, str]] = set()
        self._forget_at = 0.0

    def dropped(self, what: str, text: str) -> None:
        """Something came to nothing. ``what`` is its kind, of which there are few, ``text`` tells of this one."""
        self._counts[what] += 1
        count = self._counts[what]
        if count & (count - 1) == 0:
            again = f" (the {count:,}th time; told again at the {2 * count:,}th)" if count > 1 else " (said once)"
            self._log.warning("%s: %s%s", what, text, again)

    def is_to_be_told(self, identity: bytes, why: str, now: float) -> bool:
        """Whether this connection is to hear now why nothing is done: once a second is enough."""
        if now >= self._forget_at:
            self._told.clear()
            self._forget_at = now + _TELL_SECONDS
        if (identity, why) in self._told or len(self._told) >= _MOST_TOLD:
            return False
        self._told.add((identity, why))
        return True
