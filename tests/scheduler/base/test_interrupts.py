"""Signals are counted: one to finish, two to stop now."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from scheduler.base.interrupts import Interrupts


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Sets back what a test leaves. A lost connection is not ignored, even if the tests run under nohup."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_ctrl_c_and_each_sigterm_counts(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        for count in (1, 2):
            signal.raise_signal(number)
            assert interrupts.count == count


def test_a_lost_connection_counts_once_however_often_it_is_reported() -> None:
    with Interrupts() as interrupts:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert interrupts.count == 1
        signal.raise_signal(signal.SIGINT)
        assert interrupts.count == 2
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.count == 2


def test_afterwards_ctrl_c_and_sigterm_interrupt_and_a_lost_connection_does_not() -> None:
    with Interrupts():
        pass
    signal.raise_signal(signal.SIGHUP)
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_under_nohup_a_lost_connection_is_none() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.count == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
