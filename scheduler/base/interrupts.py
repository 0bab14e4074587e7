"""Counts Ctrl-C, SIGTERM and SIGHUP, from before the first process starts until after the last one has ended."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self


class Interrupts:
    """Counts signals within the block: one means finish the current work, two mean stop now. For the main thread.

    A lost connection (SIGHUP) is one interrupt, however often it is reported: the shell and the kernel each do. Under
    ``nohup`` it is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            # A second one, at any later time, must not end the process in the middle of its reports.
            self._before[signal.SIGHUP] = signal.SIG_IGN
            self.count = max(self.count, 1)
        else:
            self.count += 1
