"""Which weights move where, and in which order."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, note
from msgspec.structs import replace

from protocol.messages import Residency, Role
from scheduler.pool.residency import Placement, Wanted, Weights, next_moves, off_device, settled, to_read_early
from tests.adversary import CHOICES, THOROUGH, Adversary

Desired = dict[Role, Wanted]

EDITING: Desired = {"editor": "device", "reward": "away"}
SCORING: Desired = {"editor": "away", "reward": "device"}
BOTH: Desired = {"editor": "device", "reward": "device"}


# -- as examples


def test_a_reward_goes_onto_a_shared_device_when_the_editor_has_left_it() -> None:
    editor = Placement("editor-0", "editor", "cuda:0", "device")
    reward = Placement("reward-0", "reward", "cuda:0", "host")
    assert next_moves([editor, reward], SCORING, "host") == [("editor-0", "host")]
    assert next_moves([replace(editor, moving_to="host"), reward], SCORING, "host") == []
    assert next_moves([replace(editor, residency="host"), reward], SCORING, "host") == [("reward-0", "device")]


def test_each_device_is_switched_on_its_own() -> None:
    slow = Placement("editor-0", "editor", "cuda:0", "device", "disk")
    workers = [
        slow,
        Placement("editor-1", "editor", "cuda:1", "disk"),
        Placement("reward-0", "reward", "cuda:0", "disk"),
        Placement("reward-1", "reward", "cuda:1", "disk"),
    ]
    assert next_moves(workers, SCORING, "disk") == [("reward-1", "device")]
    assert not settled(workers, SCORING)


def test_a_spread_model_waits_until_all_of_its_gpus_are_free_and_others_wait_for_each_of_its_gpus() -> None:
    editor = Placement("editor-0", "editor", "cuda:0+1", "host")
    rewards = [Placement(f"reward-{gpu}", "reward", f"cuda:{gpu}", "device") for gpu in range(3)]
    assert next_moves([editor, *rewards], EDITING, "host") == [(f"reward-{gpu}", "host") for gpu in range(3)]
    left = [replace(reward, residency="host") for reward in rewards]
    assert next_moves([editor, left[0], rewards[1], left[2]], EDITING, "host") == [("reward-1", "host")]
    assert next_moves([editor, *left], EDITING, "host") == [("editor-0", "device")]
    leaving = replace(editor, residency="device", moving_to="host")
    assert next_moves([leaving, *left], SCORING, "host") == [("reward-2", "device")]


def test_workers_on_the_cpu_never_wait_for_each_other() -> None:
    workers = [Placement("editor-0", "editor", "cpu", "device"), Placement("reward-0", "reward", "cpu", "host")]
    assert next_moves(workers, SCORING, "host") == [("editor-0", "host"), ("reward-0", "device")]


def test_weights_that_are_off_the_device_stay_where_they_are() -> None:
    workers = [Placement("editor-0", "editor", "cuda:0", "disk"), Placement("editor-1", "editor", "cuda:1", "host")]
    assert next_moves(workers, SCORING, "host") == []
    assert settled(workers, SCORING)


def test_nothing_is_settled_while_weights_still_move() -> None:
    leaving = Placement("editor-0", "editor", "cuda:0", "device", "host")
    assert next_moves([leaving], EDITING, "host") == []
    assert not settled([leaving], EDITING)


def test_where_both_are_wanted_on_one_device_neither_waits_for_the_other() -> None:
    workers = [Placement("editor-0", "editor", "cuda:0", "host"), Placement("reward-0", "reward", "cuda:0", "device")]
    assert next_moves(workers, BOTH, "host") == [("editor-0", "device")]


def weights(size: int, own: int = 0, model: str = "reward") -> Weights:
    return Weights(model, size, own)


@pytest.mark.parametrize(("available", "where"), [(100, "host"), (99, "disk")])
def test_files_that_workers_share_count_once_and_their_own_copies_each_time(available: int, where: Residency) -> None:
    editors, rewards = [weights(40, model="editor")] * 6, [weights(30, own=10)] * 3
    assert off_device([*editors, *rewards], available) == where, "40 + 20 + 3 x 10 of nine tenths"


REWARDS = [Placement(f"reward-{number}", "reward", f"cuda:{number}", "disk") for number in range(2)]


@pytest.mark.parametrize(("available", "early"), [(100, ["reward-0", "reward-1"]), (99, [])])
def test_weights_are_read_early_if_all_that_wait_on_disk_fit_into_memory(available: int, early: list[str]) -> None:
    editor = Placement("editor-0", "editor", "cuda:0", "device")
    models = {"reward-0": weights(70, own=20), "reward-1": weights(70, own=20), "editor-0": weights(900)}
    assert to_read_early([editor, *REWARDS], "reward", models, available) == early


def test_what_is_in_memory_already_or_on_its_way_is_not_read_early() -> None:
    workers = [replace(REWARDS[0], moving_to="host"), replace(REWARDS[1], residency="host")]
    assert to_read_early(workers, "reward", {"reward-0": weights(1), "reward-1": weights(1)}, 100) == []


def test_weights_of_which_nobody_knows_how_many_there_are_stay_on_disk() -> None:
    assert to_read_early(REWARDS, "reward", {"reward-0": weights(1), "reward-1": weights(0)}, 100) == []
    assert to_read_early(REWARDS, "reward", {"reward-0": weights(1)}, 100) == []


# -- whatever happens


class Pool:
    """Workers that move when they are told to, die in between, and come back off a device that they share."""

    def __init__(self, adversary: Adversary) -> None:
        self.adversary = adversary
        self.desired: Desired = EDITING
        devices: dict[Role, list[str]] = {
            "editor": adversary.pick([["cuda:0"], ["cuda:0", "cuda:1"], ["cpu", "cuda:1", "cpu"]]),
            "reward": adversary.pick([["cuda:0"], ["cuda:1", "cuda:0"], ["cpu", "cuda:2"]]),
        }
        self.known = [
            Placement(f"{role}-{number}", role, device, "disk")
            for role, found in devices.items()
            for number, device in enumerate(found)
        ]
        self.here: dict[str, Placement] = {}
        for worker in self.known:
            self.come(worker)

    def shared(self, device: str) -> bool:
        return device.startswith("cuda") and sum(worker.device == device for worker in self.known) > 1

    def come(self, worker: Placement) -> None:
        where: list[Residency] = ["disk", "host"] if self.shared(worker.device) else ["disk", "host", "device"]
        self.here[worker.worker] = replace(worker, residency=self.adversary.pick(where))
        note(f"there is {self.here[worker.worker]}")

    def die(self, name: str) -> None:
        note(f"{name} dies")
        del self.here[name]

    def want(self, desired: Desired) -> None:
        note(f"wanted: {desired}")
        self.desired = desired

    def begin_moves(self) -> None:
        away: Residency = self.adversary.pick(["host", "disk"])
        for name, residency in next_moves(self.here.values(), self.desired, away):
            note(f"{name} moves to {residency}")
            assert self.here[name].moving_to is None
            assert (residency == "device") == (self.desired[self.here[name].role] == "device")
            assert residency in {"device", away}
            self.here[name] = replace(self.here[name], moving_to=residency)

    def end_move(self, name: str) -> None:
        note(f"{name} has moved")
        target = self.here[name].moving_to
        assert target is not None
        self.here[name] = replace(self.here[name], residency=target, moving_to=None)

    def moving(self) -> list[str]:
        return [name for name, worker in self.here.items() if worker.moving_to is not None]

    def trouble(self, wishes: list[Desired]) -> None:
        gone = [worker for worker in self.known if worker.worker not in self.here]
        happenings = [partial(self.want, wish) for wish in wishes]
        self.adversary.pick(
            [*happenings, *(partial(self.come, worker) for worker in gone), *(partial(self.die, n) for n in self.here)]
        )()

    def check_nobody_is_in_the_way(self) -> None:
        for device in {worker.device for worker in self.known if self.shared(worker.device)}:
            there = [w for w in self.here.values() if w.device == device and "device" in (w.residency, w.moving_to)]
            assert len({worker.role for worker in there}) <= 1, f"both roles are on {device}"


def drive(choices: bytes, wishes: list[Desired]) -> Pool:
    """All the trouble that there can be, and then the moves to their end."""
    pool = Pool(Adversary(choices))
    one_at_a_time = BOTH not in wishes
    pool.want(wishes[0])
    while not pool.adversary.tired or not settled(pool.here.values(), pool.desired):
        if pool.adversary.chance(3):
            pool.trouble(wishes)
        pool.begin_moves()
        if one_at_a_time:
            pool.check_nobody_is_in_the_way()
        moving = pool.moving()
        assert moving or settled(pool.here.values(), pool.desired), "something is to be moved, and nothing moves"
        if moving:
            pool.end_move(pool.adversary.pick(moving))
    assert next_moves(pool.here.values(), pool.desired, "host") == []
    return pool


@given(choices=CHOICES)
@THOROUGH
def test_in_whatever_order_moves_end_two_roles_are_never_on_one_device_and_all_get_where_they_should(
    choices: bytes,
) -> None:
    pool = drive(choices, [EDITING, SCORING])
    for worker in pool.here.values():
        assert (worker.residency == "device") == (pool.desired[worker.role] == "device")


@given(choices=CHOICES)
@THOROUGH
def test_whatever_is_wanted_in_whatever_order_nobody_waits_for_ever(choices: bytes) -> None:
    drive(choices, [EDITING, SCORING, BOTH, {"editor": "away", "reward": "away"}])
