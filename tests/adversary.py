"""The choices of an adversary, for tests that drive a state machine through every order of events that may happen.

The choices are bytes, so that hypothesis can generate, shrink and replay them. Where they end, or are zero, the first
option is taken: tests put what is harmless first, so that a shrunk example has only the trouble that it needs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st

T = TypeVar("T")

CHOICES = st.binary(min_size=40, max_size=240)

THOROUGH = settings(max_examples=int(os.environ.get("EXAMPLES", "200")), print_blob=True)
"""For tests that take :data:`CHOICES`: random each time, and what fails is printed such that it can be replayed."""


class Adversary:
    """Chooses what happens next."""

    def __init__(self, choices: bytes) -> None:
        self._choices = list(reversed(choices))

    @property
    def tired(self) -> bool:
        """Whether all its choices are made."""
        return not self._choices

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; there must be one."""
        return options[self._number() % len(options)]

    def chance(self, out_of: int) -> bool:
        """True in one of so many cases."""
        return self._number() % out_of == out_of - 1

    def _number(self) -> int:
        return self._choices.pop() if self._choices else 0
