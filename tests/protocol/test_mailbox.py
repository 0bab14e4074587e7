"""Calls from other threads and from signals reach the loop: all of them, in order, and at once."""

from __future__ import annotations

import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from protocol.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """An empty mailbox."""
    with closing(Mailbox()) as made:
        yield made


def _woken(mailbox: Mailbox, seconds: float = 0) -> bool:
    return bool(select.select([mailbox.fileno()], [], [], seconds)[0])


def _run_until(mailbox: Mailbox, ran: list[tuple[int, int]], count: int) -> None:
    """Act as the loop: wait and run events until ``count`` have run."""
    while len(ran) < count:
        assert _woken(mailbox, 10), f"not woken, and {count - len(ran)} events have not run"
        mailbox.run()


def _post_all(mailbox: Mailbox, ran: list[tuple[int, int]], thread: int, count: int) -> None:
    for number in range(count):
        mailbox.post(partial(ran.append, (thread, number)))


def test_nothing_wakes_the_loop_of_an_empty_mailbox(mailbox: Mailbox) -> None:
    assert not _woken(mailbox)
    mailbox.run()
    assert not _woken(mailbox)


def test_events_of_many_threads_all_run_in_each_threads_order(mailbox: Mailbox) -> None:
    ran: list[tuple[int, int]] = []
    threads = [threading.Thread(target=_post_all, args=(mailbox, ran, number, 500)) for number in range(8)]
    for thread in threads:
        thread.start()
    _run_until(mailbox, ran, 8 * 500)
    for thread in threads:
        thread.join()
    for number in range(8):
        assert [event for event in ran if event[0] == number] == [(number, count) for count in range(500)]
    mailbox.run()
    assert len(ran) == 8 * 500
    assert not _woken(mailbox)


def test_events_run_in_the_thread_that_runs_the_mailbox(mailbox: Mailbox) -> None:
    ran_in: list[int] = []
    thread = threading.Thread(target=lambda: mailbox.post(lambda: ran_in.append(threading.get_ident())))
    thread.start()
    thread.join()
    mailbox.run()
    assert ran_in == [threading.get_ident()]


def test_a_full_pipe_neither_blocks_nor_loses_events(mailbox: Mailbox) -> None:
    # Far more than a socket pair holds, with no reader meanwhile.
    ran: list[tuple[int, int]] = []
    _post_all(mailbox, ran, 0, 20_000)
    with pytest.raises(BlockingIOError):
        mailbox._in.send(b"!")
    _run_until(mailbox, ran, 20_000)
    assert ran == [(0, number) for number in range(20_000)]
    mailbox.post(lambda: ran.append((1, 0)))
    _run_until(mailbox, ran, 20_001)


def test_an_event_that_posts_another_does_not_keep_the_loop_from_its_sockets(mailbox: Mailbox) -> None:
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        mailbox.post(again)

    mailbox.post(again)
    for turn in range(1, 4):
        assert _woken(mailbox)
        mailbox.run()
        assert count == turn


def test_events_after_one_that_raises_are_kept_and_wake_the_loop(mailbox: Mailbox) -> None:
    ran: list[tuple[int, int]] = []

    def fail() -> None:
        raise RuntimeError("of the event's own")

    mailbox.post(fail)
    _post_all(mailbox, ran, 0, 2)
    with pytest.raises(RuntimeError, match="of the event's own"):
        mailbox.run()
    _run_until(mailbox, ran, 2)


def test_posting_to_a_closed_mailbox_is_harmless() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.post(lambda: None)
    mailbox.close()


def test_a_signal_wakes_the_loop_and_its_handler_may_post(mailbox: Mailbox) -> None:
    ran: list[tuple[int, int]] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: mailbox.post(lambda: ran.append((0, 0))))
    try:
        mailbox.wake_on_signals()
        assert not _woken(mailbox)
        # From another process, as a process manager would send it, while this thread waits.
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGUSR1))
        began = time.monotonic()
        timer.start()
        _run_until(mailbox, ran, 1)
        assert time.monotonic() - began < 5
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_closing_one_mailbox_leaves_the_signals_of_another(mailbox: Mailbox) -> None:
    mailbox.wake_on_signals()
    Mailbox().close()
    assert signal.set_wakeup_fd(-1) == mailbox._in.fileno()


def test_a_closed_mailbox_takes_no_signals() -> None:
    mailbox = Mailbox()
    mailbox.wake_on_signals()
    mailbox.close()
    assert signal.set_wakeup_fd(-1) == -1
