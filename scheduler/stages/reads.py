"""Which source is read first: one that a device waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from scheduler.benchmark.model import Source
from scheduler.stages.services import Services

Then = Callable[[bytes | Exception], None]


class Reads:
    """Reads sources in the services' reader threads; what is ahead waits as long as a device does."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._awaited = 0
        self._ahead: deque[tuple[Source, Then]] = deque()

    def read(self, source: Source, then: Then, *, ahead: bool) -> None:
        """Have ``then`` called with the source's bytes, or with what went wrong. With ``ahead`` no device waits yet."""
        if not ahead:
            self._awaited += 1
            self._services.read(source.read, lambda found: self._arrived(found, then))
        elif self._awaited:
            self._ahead.append((source, then))
        else:
            self._services.read(source.read, then)

    def _arrived(self, found: bytes | Exception, then: Then) -> None:
        self._awaited -= 1
        then(found)
        while self._ahead and not self._awaited:
            source, following = self._ahead.popleft()
            self._services.read(source.read, following)
