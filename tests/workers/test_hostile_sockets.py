"""Hostile peers of a real launcher and worker: none gets access, nothing ends, and nothing grows without bound."""

from __future__ import annotations

import hashlib
import os
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import messages as m
from protocol.codec import encode
from protocol.processes import create_time
from tests.protocol.struct_types import mutants, sample, values_of
from tests.waiting import wait_until
from tests.workers.attacked_pool import Pool
from tests.workers.worker_process import picture
from workers.peers import MAX_RUNS
from workers.strangers import Strangers
from workers.worker import MAX_JOBS

KINDS: tuple[type[m.RunMessage | m.Hello], ...] = get_args(m.AnyMessage)
FUZZ = settings(max_examples=40)
MEGABYTE = 2**20


# -- structured fuzzing ----------------------------------------------------------------------------------------------


def fields_for(kind: type[m.Message], run: st.SearchStrategy[str], incarnation: str) -> st.SearchStrategy[m.Message]:
    """A valid message of this kind with random fields, for one of these runs, mostly for this incarnation."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    named = {
        "run": run,
        "incarnation": st.sampled_from([incarnation] * 4 + ["any", "another"]),
        "job": st.sampled_from(["honest-0", "honest-1", "none", "honest-0#1"]),
    }
    return st.builds(
        kind,
        **{field.name: named.get(field.name, values_of(field.type)) for field in info.fields},
    )


def sent_by_strangers(pool: Pool, kinds: tuple[type[m.Message], ...]) -> st.SearchStrategy[list[m.Message]]:
    """Valid messages of connections without a Hello: in the name of others, in the wrong state."""
    runs = st.sampled_from(["honest", "launcher", "nobody", "run\n2026-01-01 ERROR \x1b[31mforged\u202e"])
    return st.lists(st.sampled_from(kinds).flatmap(lambda kind: fields_for(kind, runs, pool.incarnation)), max_size=12)


@pytest.mark.slow
@pytest.mark.parametrize("to_launcher", [False, True], ids=["worker", "launcher"])
def test_messages_of_connections_without_a_hello_do_nothing(pool: Pool, to_launcher: bool) -> None:
    kinds = tuple(kind for kind in KINDS if kind is not m.Hello)

    @FUZZ
    @given(sent=sent_by_strangers(pool, kinds))
    def attack(sent: list[m.Message]) -> None:
        stranger = pool.client("stranger", launcher=to_launcher)
        for message in sent:
            stranger.link.send(message, [b"no image"] * message.image_frames)
        if sent:
            stranger.expect(m.Refused)
        assert pool.state().runs == 1
        assert pool.status().holders == ["honest"]
        stranger.link.close()

    attack()


def test_a_run_that_sends_wrong_jobs_fails_alone(pool: Pool) -> None:
    """Its jobs have no image, its orders are of an earlier lease, its answers are not expected."""
    stale = {"epoch": st.just(0)}
    kinds = tuple(kind for kind in KINDS if kind not in (m.Hello, m.Edit, m.Load, m.Place))

    def order(kind: type[m.Message]) -> st.SearchStrategy[m.Message]:
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        own = {"run": st.just("odd"), "incarnation": st.just(pool.incarnation), **stale}
        return st.builds(
            kind,
            **{field.name: own.get(field.name, values_of(field.type)) for field in info.fields},
        )

    edits = order(m.Edit).map(lambda edit: msgspec.structs.replace(edit, epoch=pool.epoch))
    stale_orders: tuple[type[m.Message], ...] = (m.Load, m.Place, m.Edit)
    messages = edits | st.sampled_from(stale_orders).flatmap(order)
    messages |= st.sampled_from(kinds).flatmap(lambda kind: fields_for(kind, st.just("odd"), pool.incarnation))

    @FUZZ
    @given(sent=st.lists(messages, max_size=12))
    def attack(sent: list[m.Message]) -> None:
        odd = pool.client("odd")
        odd.hello()
        odd.expect(m.Welcome)
        for message in sent:
            odd.link.send(message, [b"no image"] * message.image_frames)
        assert pool.state().done == pool.jobs
        odd.hello()
        odd.expect(m.Welcome)
        odd.send(m.Goodbye)
        wait_until(lambda: pool.state().runs == 1)
        odd.link.close()

    assert pool.epoch > 0
    attack()


@pytest.mark.parametrize("to_launcher", [False, True], ids=["worker", "launcher"])
def test_messages_with_one_wrong_field_do_nothing(pool: Pool, to_launcher: bool) -> None:
    stranger = pool.client("stranger", launcher=to_launcher)
    count = 0
    for kind in KINDS:
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        frames = [b"image"] * msgspec.convert(sample(info), kind).image_frames
        for _, wrong in mutants(info):
            stranger.link.socket.send_multipart([msgpack.packb(wrong, use_bin_type=True), *frames])
            count += 1
    stranger.send(m.Ack, job="behind them all")
    stranger.expect(m.Refused)
    assert count > 2000
    assert "dropped an invalid message" in pool.logs()


@settings(FUZZ, max_examples=30)
@given(frames=st.lists(st.binary(max_size=300), max_size=5))
def test_random_bytes_do_nothing(shared_pool: Pool, frames: list[bytes]) -> None:
    for to_launcher in (False, True):
        stranger = shared_pool.client("stranger", launcher=to_launcher)
        stranger.link.socket.send_multipart(frames or [b""])
        stranger.link.close()
    assert shared_pool.state().done == shared_pool.jobs


# -- in the name of another run --------------------------------------------------------------------------------------


def test_another_connection_cannot_read_acknowledge_or_cancel_a_runs_jobs(pool: Pool) -> None:
    pool.run.edit("honest-waits", epoch=pool.epoch, round=7)
    thief = pool.client("honest")
    thief.hello()
    thief.send(m.Release, round=7)
    thief.send(m.Cancel)
    thief.send(m.Goodbye)
    assert thief.expect(m.Refused).kind == "unknown_run"
    pool.run.hello()
    assert pool.run.expect(m.Welcome).queued == ["honest-waits"]
    pool.run.send(m.Release, round=7)
    edited = pool.run.expect(m.Edited)
    pool.jobs += 1
    thief.send(m.Ack, job="honest-waits")
    thief.expect(m.Refused, lambda refused: "another connection" in refused.message)
    pool.run.hello()
    assert pool.run.expect(m.Welcome).unacknowledged == ["honest-waits"]
    assert pool.run.expect(m.Edited) == edited
    pool.run.send(m.Ack, job="honest-waits")
    assert thief.link.receive() is None


def test_a_run_whose_connection_is_closed_may_use_another_one(pool: Pool) -> None:
    first, second = pool.client("again"), pool.client("again")
    for _ in range(5):
        first.hello()
        first.expect(m.Welcome)
        first.link.close()
        second.hello()
        second.expect(m.Welcome)
        first, second = second, pool.client("again")
    first.send(m.Goodbye)
    wait_until(lambda: pool.state().runs == 1)


def test_another_connection_cannot_end_a_run_at_the_launcher_or_stop_the_pool(pool: Pool) -> None:
    thief = pool.client("honest", launcher=True)
    pid, created = os.getpid(), create_time(os.getpid())
    thief.hello()
    thief.expect(m.Refused, lambda refused: "another connection" in refused.message)
    for kind, fields in (
        (m.Goodbye, {}),
        (m.Stop, {"now": True}),
        (m.Lease, {"mode": "exclusive", "pid": pid, "pid_create_time": created}),
        (m.Reload, {"epoch": pool.epoch, "worker_ids": ["editor-0"], "spec": m.ModelSpec(role="reward")}),
    ):
        thief.send(kind, **fields)
    thief.hello(protocol_version=0)
    assert thief.expect(m.Refused).kind == "protocol_version", "after all earlier messages"
    assert pool.status().holders == ["honest"]


def test_a_reload_without_the_exclusive_lease_is_refused(pool: Pool) -> None:
    other = pool.client("other", launcher=True)
    other.hello()
    other.send(m.Reload, epoch=pool.epoch, worker_ids=["editor-0"], spec=m.ModelSpec(role="reward"))
    assert other.expect(m.Refused).kind == "epoch"
    other.send(m.Goodbye)


# -- floods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to_launcher", [False, True], ids=["worker", "launcher"])
def test_a_thousand_idle_runs_leave_room_for_a_run_with_jobs(pool: Pool, to_launcher: bool) -> None:
    crowd = [pool.client(f"crowd-{number}", launcher=to_launcher) for number in range(1000)]
    for client in crowd:
        client.hello(dead_after_seconds=86400, heartbeat_seconds=1e-6)
    for client in crowd:
        assert client.link.socket.poll(20_000)
    assert pool.state().runs <= MAX_RUNS
    late = pool.client("late")
    late.hello()
    late.expect(m.Welcome)
    late.edit("late", epoch=pool.epoch)
    late.expect(m.Edited)
    late.send(m.Ack, job="late")
    late.send(m.Goodbye)
    pool.jobs += 1
    for client in crowd:
        client.link.close()
    if not to_launcher:
        wait_until(lambda: pool.state().runs == 1)


def test_refusals_to_one_connection_with_a_thousand_names_are_limited(pool: Pool) -> None:
    flood = pool.client("flood")
    for number in range(1000):
        flood.hello(run=f"flood-{number}", dead_after_seconds=1e-9)
        flood.hello(run=f"flood-{number}", incarnation="another")
        flood.send(m.Ack, run=f"other-{number}", job="none")
    wait_until(lambda: pool.state().runs == 1)
    refusals = 0
    while (received := flood.link.receive()) is not None:
        refusals += isinstance(received[0], m.Refused)
    assert refusals < 50
    flood.link.close()


@pytest.mark.slow
def test_a_run_has_no_more_jobs_than_a_welcome_can_list(pool: Pool) -> None:
    greedy = pool.client("greedy")
    greedy.hello()
    greedy.expect(m.Welcome)
    image = picture()
    for number in range(MAX_JOBS + 1):
        fields = {"key": "c/1", "round": 5, "instruction": "i", "seed": 0, "parameters": {}, "epoch": pool.epoch}
        greedy.send(m.Edit, [image], job=f"job-{number}", **fields)
    assert greedy.expect(m.Refused).job == f"job-{MAX_JOBS}"
    greedy.hello()
    assert len(greedy.expect(m.Welcome).queued) == MAX_JOBS
    greedy.send(m.Goodbye)
    wait_until(lambda: pool.state().runs == 1)


@pytest.mark.slow
def test_frames_and_parameters_of_a_hundred_megabytes_are_dropped_and_their_memory_is_reused(
    shared_pool: Pool,
) -> None:
    nested: Any = "x" * 1000
    for _ in range(25):
        nested = [nested, {"a": nested}] if len(msgpack.packb(nested)) < 8 * MEGABYTE else [nested]
    fields = {"type": "Edit", "run": "honest", "incarnation": shared_pool.incarnation, "epoch": 1, "job": "j"}
    fields |= {"key": "k", "round": None, "instruction": "i", "seed": 0}
    heads = [
        msgpack.packb(fields | {"parameters": {"a": value}}, use_bin_type=True)
        for value in ("x" * 100_000_000, nested, [[0] * 1000] * 1000)
    ]
    surplus = [encode(m.Ack(run="r", incarnation="i", job="j"))[0], *[b"x" * 10_000] * 3000]

    def attack() -> int:
        for to_launcher in (False, True):
            stranger = shared_pool.client("stranger", launcher=to_launcher)
            for frames in (*([head, b"image"] for head in heads), surplus):
                stranger.link.socket.send_multipart(frames)
            stranger.send(m.Ack, job="behind them all")
            stranger.expect(m.Refused)
            stranger.link.close()
        return shared_pool.memory()

    before = shared_pool.memory()
    first = attack()
    assert first - before < 300 * MEGABYTE, "the allocator keeps far less than was sent"
    assert attack() - first < 50 * MEGABYTE
    shared_pool.edit()


# -- leases and life sockets -----------------------------------------------------------------------------------------


# -- where they listen -----------------------------------------------------------------------------------------------


# -- the log ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_drops_are_logged_when_their_count_doubles_and_refusals_are_sent_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    import logging

    strangers = Strangers(logging.getLogger("test"))
    for number in range(100_000):
        strangers.record_drop("dropped an invalid message", f"number {number}")
    assert len(caplog.records) == 17
    assert caplog.messages[0] == "dropped an invalid message: number 0 (occurrence 1, next logged at 2)"
    assert caplog.messages[-1].startswith("dropped an invalid message: number 65535 (occurrence 65,536,")
    answered = [
        strangers.should_answer(hashlib.md5(b"%d" % n, usedforsecurity=False).digest(), "x", 1.0) for n in range(9000)
    ]
    assert sum(answered) == 1024
    assert not strangers.should_answer(b"a", "x", 1.9)
    assert strangers.should_answer(b"a", "x", 2.1)
    assert not strangers.should_answer(b"a", "x", 2.2)
    assert strangers.should_answer(b"a", "y", 2.2)
