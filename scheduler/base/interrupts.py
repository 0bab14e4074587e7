"""Counts Ctrl-C, SIGTERM and SIGHUP, from before the first process starts until after the last one has ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class Interrupts:
    """Counts signals within the block: one means finish the current work, two mean stop now. For the main thread.

    A lost connection (SIGHUP) is one interrupt, however often it is reported: the shell and the kernel each do. Under
    ``nohup`` it is none.

    What comes after the block is short, such as writing reports: SIGTERM stops it as Ctrl-C does, by a
    ``KeyboardInterrupt``, and a lost connection does not.
    """

    def __init__(self) -> None:
        self.count = 0
        self._on_ctrl_c: Any = None

    def __enter__(self) -> Self:
        self._on_ctrl_c = signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._on_ctrl_c)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.count = max(self.count, 1)
        else:
            self.count += 1


@contextmanager
def held_back() -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP take effect at the end of the block only. For the main thread, and for short
    blocks that must not stop half-way, such as starting a process that somebody has to end.
    """
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for earlier in arrived:
            signal.raise_signal(earlier)
