"""Limits what unknown connections can make a worker or launcher do, however much they send.

Their messages are dropped and counted. A kind of drop is logged the first time, then whenever its count has doubled.
Refusals are sent at a limited rate, because a client that never reads would let them pile up.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from protocol.codec import Buffer, ProtocolError
from protocol.messages import AnyMessage
from protocol.sockets import Listener

_ANSWER_SECONDS = 1.0
_MAX_ANSWERED = 1024


_MESSAGES_PER_TURN = 64
_READING_SECONDS = 0.05
"""How long one turn of a loop reads at most: refusing the largest invalid message takes a tenth of a second."""


class Strangers:
    """Counts drops and limits refusals. Times are those of the monotonic clock."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._counts: Counter[str] = Counter()
        self._answered: set[tuple[bytes, str]] = set()
        self._forget_at = 0.0

    def record_drop(self, what: str, text: str) -> None:
        """Count and perhaps log a drop. ``what`` is its kind, of which there are few; ``text`` is about this one."""
        self._counts[what] += 1
        count = self._counts[what]
        if count & (count - 1) == 0:
            self._log.warning("%s: %s (occurrence %s, next logged at %s)", what, text, f"{count:,}", f"{2 * count:,}")

    def should_answer(self, identity: bytes, why: str, now: float) -> bool:
        """Whether to send this connection a refusal now: at most one per second and reason."""
        if now >= self._forget_at:
            self._answered.clear()
            self._forget_at = now + _ANSWER_SECONDS
        if (identity, why) in self._answered or len(self._answered) >= _MAX_ANSWERED:
            return False
        self._answered.add((identity, why))
        return True

    def read(self, listener: Listener, handle: Callable[[bytes, AnyMessage, list[Buffer]], None]) -> None:
        """Pass the messages that have arrived to ``handle``, up to a limit of messages and time per turn."""
        end = time.monotonic() + _READING_SECONDS
        for _ in range(_MESSAGES_PER_TURN):
            try:
                received = listener.receive()
            except ProtocolError as error:
                self.record_drop("dropped an invalid message", str(error))
            else:
                if received is None:
                    return
                handle(*received)
            if time.monotonic() > end:
                return
