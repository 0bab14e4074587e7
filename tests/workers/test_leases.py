"""The decisions which runs hold the lease."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import given, note

from protocol.messages import LeaseMode
from tests.adversary import CHOICES, THOROUGH, Adversary
from workers.leases import Grant, LeaseAction, Leases, Wait

MODES: list[LeaseMode] = ["shared", "exclusive"]


# -- examples


def test_runs_that_do_not_move_models_share_the_lease_and_its_epoch() -> None:
    leases = Leases()
    assert leases.request("a", "shared") == [Grant("a", "shared", 1)]
    assert leases.request("b", "shared") == [Grant("b", "shared", 1)]
    assert leases.holders == ("a", "b")


def test_a_run_that_moves_models_waits_for_the_others_and_learns_their_names() -> None:
    leases = Leases()
    leases.request("a", "shared")
    leases.request("b", "shared")
    assert leases.request("c", "exclusive") == [Wait("c", ("a", "b"))]
    assert leases.leave("a") == [Wait("c", ("b",))]
    assert leases.leave("b") == [Grant("c", "exclusive", 2)]


def test_a_shared_request_does_not_overtake_an_earlier_exclusive_one() -> None:
    leases = Leases()
    leases.request("a", "shared")
    leases.request("b", "exclusive")
    assert leases.request("c", "shared") == [Wait("c", ("a", "b"))]
    assert leases.leave("a") == [Grant("b", "exclusive", 2), Wait("c", ("b",))]
    assert leases.leave("b") == [Grant("c", "shared", 3)]


def test_asking_again_gets_the_same_answer() -> None:
    leases = Leases()
    leases.request("a", "exclusive")
    leases.request("b", "shared")
    for _ in range(2):
        assert leases.request("a", "exclusive") == [Grant("a", "exclusive", 1)]
        assert leases.request("b", "shared") == [Wait("b", ("a",))]


def test_an_exclusive_lease_becomes_a_shared_one_at_once_and_lets_others_in() -> None:
    leases = Leases()
    leases.request("a", "exclusive")
    leases.request("b", "shared")
    assert leases.is_exclusive("a", 1)
    assert leases.request("a", "shared") == [Grant("a", "shared", 1), Grant("b", "shared", 1)]
    assert not leases.is_exclusive("a", 1)


def test_a_shared_lease_is_given_up_for_an_exclusive_one() -> None:
    leases = Leases()
    leases.request("a", "shared")
    leases.request("b", "exclusive")
    assert leases.request("a", "exclusive") == [Grant("b", "exclusive", 2), Wait("a", ("b",))]


def test_leaving_twice_or_without_a_request_is_harmless() -> None:
    leases = Leases()
    leases.request("a", "shared")
    leases.leave("a")
    assert leases.leave("a") == []
    assert leases.leave("nobody") == []
    assert leases.unused


# -- random events


class Runs:
    """Runs that ask, change their requests, leave and die; the answers that they got, and what must hold."""

    def __init__(self, adversary: Adversary) -> None:
        self.adversary = adversary
        self.leases = Leases()
        self.asked: dict[str, LeaseMode] = {}
        self.answers: dict[str, LeaseAction] = {}
        self.newest_epoch = 0

    def request(self, run: str, mode: LeaseMode) -> None:
        note(f"{run} asks: {mode}")
        before = self.answers.get(run)
        again = self.asked.get(run) == mode
        if mode == "shared" and isinstance(before, Grant):
            self.asked[run] = mode
        elif not again:
            self.asked.pop(run, None)
            self.answers.pop(run, None)
            self.asked[run] = mode
        actions = self.leases.request(run, mode)
        self.check(actions)
        assert not again or actions == [before], "the same answer again, and no other"
        assert any(action.run == run for action in actions), "every request is answered"

    def leave(self, run: str) -> None:
        note(f"{run} leaves")
        known = run in self.asked
        self.asked.pop(run, None)
        self.answers.pop(run, None)
        actions = self.leases.leave(run)
        self.check(actions)
        assert known or actions == []

    def check(self, actions: list[LeaseAction]) -> None:
        for action in actions:
            note(action)
            if isinstance(action, Grant) and self.answers.get(action.run) != action:
                self.on_grant(action)
            self.answers[action.run] = action
        holders = [run for run in self.asked if isinstance(self.answers[run], Grant)]
        waiting = [run for run in self.asked if run not in holders]
        assert set(self.leases.holders) == set(holders)
        assert list(self.leases.waiting) == waiting, "in order of arrival"
        assert self.leases.unused == (not self.asked)
        assert len(holders) <= 1 or all(self.asked[run] == "shared" for run in holders), "an exclusive holder is alone"
        for run in "abcd":
            alone = run in holders and self.asked[run] == "exclusive"
            assert self.leases.is_exclusive(run, self.newest_epoch) == alone
            assert not self.leases.is_exclusive(run, self.newest_epoch - 1)
        for place, run in enumerate(waiting):
            answers = self.answers[run]
            assert isinstance(answers, Wait)
            assert answers.holders == (*self.leases.holders, *waiting[:place]), f"{run} does not know for whom it waits"
        if waiting:
            alone = "exclusive" in (self.asked[waiting[0]], *(self.asked[run] for run in holders))
            assert holders, "a run waits, and no run holds the lease"
            assert alone, "the first run could have been granted the lease"

    def on_grant(self, grant: Grant) -> None:
        assert self.asked[grant.run] == grant.mode
        earlier = list(self.asked)[: list(self.asked).index(grant.run)]
        assert all(isinstance(self.answers[run], Grant) for run in earlier), "a run was overtaken"
        others = [answers for run, answers in self.answers.items() if run != grant.run and isinstance(answers, Grant)]
        if others or isinstance(self.answers.get(grant.run), Grant):
            assert {grant.epoch, *(other.epoch for other in others)} == {self.newest_epoch}
        else:
            assert grant.epoch > self.newest_epoch
            self.newest_epoch = grant.epoch


@given(choices=CHOICES)
@THOROUGH
def test_in_any_order_of_requests_an_exclusive_holder_is_alone_and_every_run_gets_its_turn(
    choices: bytes,
) -> None:
    runs = Runs(Adversary(choices))
    while not runs.adversary.tired:
        happenings: list[Callable[[], None]] = [partial(runs.request, run, mode) for run in "abcd" for mode in MODES]
        happenings += [partial(runs.leave, run) for run in "abcd"]
        runs.adversary.pick(happenings)()
    # From here on no run asks, and holders leave: then every run gets the lease.
    for run in runs.leases.waiting:
        while not isinstance(runs.answers[run], Grant):
            runs.leave(runs.leases.holders[0])
    for run in runs.leases.holders:
        runs.leave(run)
    assert runs.leases.unused
