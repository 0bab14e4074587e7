"""How many requests a server gets at once, and when one is made again: any order of events, and simulated servers."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.models.served.pacing import FEW, MAX_PAUSE, Pacing, Ticket, delay, retry_after_seconds

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def began(most: int = 64) -> Pacing:
    """A server that has answered the first request."""
    pacing = Pacing(most)
    pacing.answered(admitted(pacing))
    return pacing


def admitted(pacing: Pacing, now: float = 0.0) -> Ticket:
    ticket = pacing.admit(now)
    assert ticket is not None
    return ticket


def fill(pacing: Pacing, now: float = 0.0) -> list[Ticket]:
    tickets = []
    while (ticket := pacing.admit(now)) is not None:
        tickets.append(ticket)
    return tickets


# -- examples


def test_the_first_request_is_alone_and_then_there_are_a_few() -> None:
    pacing = Pacing(64)
    (first,) = fill(pacing)
    pacing.refused(first, 0.0, None, too_many=False)
    (again,) = fill(pacing)
    pacing.answered(again)
    assert len(fill(pacing)) >= 2
    assert pacing.limit <= FEW
    pacing.begin(64)
    assert pacing.limit == 1, "what is asked otherwise may be refused at the first request"


def test_each_answer_makes_room_for_one_more_while_the_room_is_used() -> None:
    pacing = began()
    for ticket in fill(pacing):
        pacing.answered(ticket)
    grown = pacing.limit
    assert grown > FEW
    for _ in range(50):
        pacing.answered(admitted(pacing))
    assert pacing.limit == grown, "one at a time says nothing about many"


def test_refusals_of_one_round_halve_the_limit_once() -> None:
    pacing = began()
    while pacing.limit < 32:
        for ticket in fill(pacing):
            pacing.answered(ticket)
    tickets, before = fill(pacing), pacing.limit
    for ticket in tickets:
        pacing.refused(ticket, 0.0, None, too_many=True)
    assert pacing.limit == before // 2


def test_a_server_that_names_a_time_gets_nothing_before_it() -> None:
    pacing = began()
    one, other = admitted(pacing), admitted(pacing)
    pacing.refused(one, 100.0, 7.0, too_many=True)
    pacing.refused(other, 100.0, 3.0, too_many=True)
    assert pacing.admit(106.9) is None
    assert pacing.pause(106.0) == 1.0
    admitted(pacing, 107.0)
    pacing.refused(admitted(pacing, 107.0), 107.0, 1e9, too_many=True)
    assert pacing.pause(107.0) == MAX_PAUSE


def test_failures_by_chance_do_not_slow_down_and_a_server_in_trouble_does() -> None:
    pacing = began()
    for _ in range(4):
        for number, ticket in enumerate(fill(pacing)):
            if number % 5:
                pacing.answered(ticket)
            else:
                pacing.refused(ticket, 0.0, None, too_many=False)
    assert (before := pacing.limit) > FEW
    for _ in range(8):
        for ticket in fill(pacing):
            pacing.refused(ticket, 0.0, None, too_many=False)
    assert pacing.limit < before // 4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("1e9", MAX_PAUSE),
        ("Sat, 21 Nov 2026 12:00:09 GMT", 9.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:09", 9.0),
        ("Sat, 21 Nov 9999 12:00:00 GMT", MAX_PAUSE),
        ("Sat, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_the_time_that_a_server_names_is_read(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@given(text=st.text(max_size=60))
def test_any_header_is_a_time_within_bounds_or_none(text: str) -> None:
    seconds = retry_after_seconds(text, NOW)
    assert seconds is None or 0 <= seconds <= MAX_PAUSE


def test_a_request_waits_longer_each_time_and_at_least_as_long_as_it_is_told_to() -> None:
    assert [delay(failures, None, lambda: 0.0) for failures in (0, 1, 2, 3, 99)] == [0.5, 0.5, 1.0, 2.0, 15.0]
    assert [delay(failures, None, lambda: 1.0) for failures in (1, 2)] == [0.25, 0.5]
    assert delay(1, 20.0, lambda: 0.5) == 20.0
    assert delay(1, 1e9, lambda: 0.5) == MAX_PAUSE


# -- any order of events

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "answered", "many", "trouble", "ended", "begin", "later"]), st.integers(0, 1000)
    ),
    max_size=200,
)


@given(most=st.integers(1, 40), events=EVENTS)
def test_in_any_order_of_events_the_bounds_hold_and_nothing_is_stuck(most: int, events: list[tuple[str, int]]) -> None:
    pacing, now, flying, began = Pacing(most), 0.0, list[Ticket](), False
    not_before = 0.0
    for what, number in events:
        before = pacing.limit
        if what == "later":
            now += number / 100
        elif what == "begin":
            pacing.begin(most)
            began = False
        elif what == "admit":
            ticket = pacing.admit(now)
            assert (ticket is not None) == (len(flying) < before and now >= not_before)
            flying += [ticket] if ticket else []
        elif flying:
            ticket = flying.pop(number % len(flying))
            if what == "answered":
                pacing.answered(ticket)
                assert pacing.limit <= before + 1 or not began
                began = True
            elif what == "ended":
                pacing.ended(ticket)
                assert pacing.limit == before
            else:
                after = number / 500 if number % 3 == 0 else None
                pacing.refused(ticket, now, after, too_many=what == "many")
                not_before = max(not_before, now + (after or 0.0))
                assert before // 2 <= pacing.limit <= before
        assert pacing.in_flight == len(flying)
        assert 1 <= pacing.limit <= (most if began else 1)
    for ticket in flying:
        pacing.answered(ticket)
    assert pacing.admit(now + MAX_PAUSE) is not None


# -- simulated servers


@dataclass
class Outcome:
    seconds: float = 0.0
    sent: int = 0
    refused: int = 0
    answered_late: int = 0


def simulate(
    items: int,
    most: int,
    *,
    takes: int | None = None,
    latency: float = 1.0,
    many: float = 0.0,
    trouble: float = 0.0,
    ramp: float = 0.0,
) -> Outcome:
    """A server that takes so many requests, and has faults by chance. Answers after ``ramp`` are counted."""
    dice, pacing, outcome = random.Random(7), Pacing(most), Outcome()  # noqa: S311 - the same in every run
    waiting = deque([0] * items)  # how often each has failed
    events: list[tuple[float, int, int, Ticket | None, Literal["ok", "many", "trouble", "back"]]] = []
    now, at_work, left = 0.0, 0, items
    while left:
        while waiting and (ticket := pacing.admit(now)) is not None:
            failures = waiting.popleft()
            outcome.sent += 1
            drawn = dice.random()
            if takes is not None and at_work >= takes:
                heapq.heappush(events, (now + 0.01, outcome.sent, failures, ticket, "many"))
                continue
            at_work += 1
            kind: Literal["ok", "many", "trouble"] = (
                "many" if drawn < many else "trouble" if drawn < many + trouble else "ok"
            )
            heapq.heappush(events, (now + latency, -outcome.sent, failures, ticket, kind))
        now, order, failures, ended, what = heapq.heappop(events)
        if what == "back" or ended is None:
            waiting.append(failures)
            continue
        at_work -= order < 0
        if what == "ok":
            pacing.answered(ended)
            left -= 1
            outcome.answered_late += now > ramp
        else:
            outcome.refused += 1
            pacing.refused(ended, now, None, too_many=what == "many")
            heapq.heappush(events, (now + delay(failures + 1, None, dice.random), order, failures + 1, None, "back"))
    outcome.seconds = now
    return outcome


@pytest.mark.parametrize("takes", [4, 32, 128])
def test_a_server_is_used_to_nine_tenths_of_what_it_can_give(takes: int) -> None:
    ramp = 20.0
    outcome = simulate(40 * takes, 256, takes=takes, ramp=ramp)
    assert outcome.answered_late / (outcome.seconds - ramp) > 0.9 * takes
    assert outcome.refused < 0.1 * outcome.sent


@pytest.mark.parametrize("most", [1, 4, 32, 128])
def test_a_server_that_takes_more_gets_what_the_run_allows(most: int) -> None:
    ramp = 10.0
    outcome = simulate(30 * most, most, ramp=ramp)
    assert outcome.answered_late / (outcome.seconds - ramp) > 0.9 * most
    assert outcome.refused == 0


def test_faults_by_chance_leave_a_server_in_use() -> None:
    perfect = simulate(1000, 16, latency=0.5).seconds
    assert simulate(1000, 16, latency=0.5, trouble=0.15).seconds < 2.5 * perfect
    assert simulate(1000, 16, latency=0.5, many=0.05, trouble=0.15).seconds < 6 * perfect
