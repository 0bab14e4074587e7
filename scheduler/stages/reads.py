"""Which source is read first: one that a device waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from scheduler.benchmark.model import Source
from scheduler.stages.services import Services

_AT_ONCE = 4
"""As many as there are threads to read: what is with them can't be overtaken any more."""

Then = Callable[[bytes | Exception], None]


class Reads:
    """Reads sources in the services' reader threads: those that no device waits for yet after all others."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._awaited: deque[tuple[Source, Then]] = deque()
        self._ahead: deque[tuple[Source, Then]] = deque()
        self._under_way = 0

    def read(self, source: Source, then: Then, *, ahead: bool) -> None:
        """Have ``then`` called with the source's bytes, or with what went wrong. With ``ahead`` no device waits yet."""
        (self._ahead if ahead else self._awaited).append((source, then))
        self._go_on()

    def _go_on(self) -> None:
        while self._under_way < _AT_ONCE and (waiting := self._awaited or self._ahead):
            self._under_way += 1
            self._begin(*waiting.popleft())

    def _begin(self, source: Source, then: Then) -> None:
        def arrived(found: bytes | Exception) -> None:
            self._under_way -= 1
            then(found)
            self._go_on()

        self._services.read(source.read, arrived)
