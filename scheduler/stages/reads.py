"""Decides which source is read next: one that a device waits for comes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from scheduler.benchmark.pairs import SourceImage
from scheduler.stages.services import Services

_PARALLEL_READS = 4
"""As many as there are reader threads: further ones wait here, in their order of urgency."""

OnRead = Callable[[list[bytes] | Exception], None]


class Reads:
    """Reads sources in the services' reader threads; those that no device waits for come last."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._urgent: deque[tuple[Sequence[SourceImage], OnRead]] = deque()
        self._ahead: deque[tuple[Sequence[SourceImage], OnRead]] = deque()
        self._running = 0

    def read(self, sources: Sequence[SourceImage], on_read: OnRead, *, ahead: bool) -> None:
        """Call ``on_read`` with the bytes of a pair's sources, or the first exception. With ``ahead`` no device waits
        for them yet.
        """
        (self._ahead if ahead else self._urgent).append((sources, on_read))
        self._start_next()

    def _start_next(self) -> None:
        while self._running < _PARALLEL_READS and (waiting := self._urgent or self._ahead):
            self._running += 1
            sources, on_read = waiting.popleft()
            self._services.read(partial(_read_all, sources), partial(self._finish, on_read))

    def _finish(self, on_read: OnRead, content: list[bytes] | Exception) -> None:
        self._running -= 1
        on_read(content)
        self._start_next()


def _read_all(sources: Sequence[SourceImage]) -> list[bytes]:
    return [source.read() for source in sources]
