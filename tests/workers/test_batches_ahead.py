"""A reward's next batches are prepared while the device scores: by the model that scores them, and a limited number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol import messages as m
from protocol.mailbox import Mailbox
from tests.waiting import wait_until
from workers import jobs as j
from workers.codecs import encode_png
from workers.device import Call, Device
from workers.holder import ModelHolder
from workers.interface import ModelError, Progress, Reward, ScoreRequest, Scores, WorkerContext
from workers.workbench import Workbench


@dataclass(frozen=True)
class Prepared(ScoreRequest):
    """A request with the name of the checkpoint that prepared it."""

    by: str | None = None


class CarefulReward(Reward):
    """A user's reward that prepares batches. Its parameters say what it waits for and where it fails."""

    gates: Mapping[str, threading.Event]
    seen: list[tuple[str, str, str]]
    """The calls: what, for which edit, on which thread."""

    def load(self, residency: m.Residency) -> None:
        """There is nothing to read."""

    def place(self, residency: m.Residency) -> None:
        type(self).seen.append(("place", "", threading.current_thread().name))

    def replace(self, spec: m.ModelSpec) -> bool:
        self.spec = spec
        return True

    def prepare_batch(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any]) -> Sequence[ScoreRequest]:
        name = self.spec.name
        self._pass("prepare", requests, parameters)
        return [
            Prepared(request.image, request.source, request.prompt, request.key, request.image_sha256, by=name)
            for request in requests
        ]

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        self._pass("score", requests, parameters)
        judgements = []
        for request in requests:
            by = request.by if isinstance(request, Prepared) else None
            right = by == self.spec.name
            judgements.append(m.Judgement(aspect="", score=float(right), response=f"{self.spec.name} by {by}"))
        return Scores(judgements)

    def _pass(self, what: str, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any]) -> None:
        key = requests[0].key
        type(self).seen.append((what, key, threading.current_thread().name))
        gate = self.gates.get(f"{what} {key}")
        assert gate is None or gate.wait(60)
        if gate is not None:
            type(self).seen.append((f"{what} over", key, threading.current_thread().name))
        if kind := parameters.get(f"{what} {key} raises"):
            raise ModelError(kind, f"{what} of {key}")


class PlainReward(Reward):
    """A user's reward that has no ``prepare_batch``."""

    def load(self, residency: m.Residency) -> None:
        """There is nothing to read."""

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        return Scores([m.Judgement(aspect="", score=float(type(request) is ScoreRequest)) for request in requests])


class Bench:
    """A workbench with its device, and the messages that it sends."""

    def __init__(self, folder: Path, kind: type[Reward]) -> None:
        self._mailbox = mailbox = Mailbox()
        # The device's thread outlives the test and must not hold the workbench.
        self.device = Device(lambda: mailbox.post(lambda: None), print)
        self.holder = ModelHolder("cpu", self.device.watchdog, WorkerContext(folder=folder))
        self.replies: dict[str, m.Message] = {}
        self.core_is_free = True
        self._kind = kind
        self.bench = Workbench(
            self._mailbox, self.device, self.holder, self._send, lambda: None, lambda: self.core_is_free
        )
        self.on_device(lambda: self.load("first"))
        self.bench.jobs.attach("run")
        self.bench.act(self.bench.jobs.set_usable(True))

    def load(self, name: str) -> None:
        path = f"{__name__}.{self._kind.__name__}"
        spec = m.ModelSpec(role="reward", class_path=path, name=name, params={})
        self.holder.load(spec, "device", serial=False, timeout=60.0, enter=lambda _: None)

    def on_device(self, work: Callable[[], None]) -> None:
        """Have the device thread do this and wait for it."""
        over: list[Any] = []
        self.device.submit(Call(over.append, work, 60.0))
        self.until(lambda: over)
        assert over[0].error is None, over[0].error

    def add(self, *keys: str, **parameters: Any) -> None:
        for key in keys:
            job = j.JobKey("run", key)
            item = m.ScoreItem(item=key, key=key, with_source=False, prompts=[m.Prompt(aspect="", system="", user="")])
            message = m.Score(run="run", incarnation="x", epoch=1, job=key, items=[item], parameters=parameters)
            self.bench.add(message, [encode_png(Image.new("RGB", (8, 8)))])
            # One at a time: otherwise the codec threads decide which is first.
            self.until(partial(self._is_decoded, job))

    def until(self, condition: Callable[[], object]) -> None:
        def look() -> object:
            self._mailbox.run()
            self.bench.take_outcomes()
            return condition()

        wait_until(look)

    def judgement(self, key: str) -> m.Judgement:
        self.until(lambda: key in self.replies)
        reply = self.replies[key]
        assert isinstance(reply, m.Scored), reply
        return reply.items[0].judgements[0]

    def _is_decoded(self, job: j.JobKey) -> bool:
        return self.bench._payloads[job].waiting or job.job not in self.bench.jobs.unfinished("run")[0]

    def close(self) -> None:
        self._mailbox.close()

    def _send(self, run: str, message: m.Message, images: Sequence[Any]) -> None:
        if isinstance(message, m.Scored | m.Failed):
            assert message.job is not None
            self.replies[message.job] = message


@pytest.fixture
def seen() -> list[tuple[str, str, str]]:
    CarefulReward.seen = []
    return CarefulReward.seen


@pytest.fixture
def gates() -> Iterator[dict[str, threading.Event]]:
    gates: dict[str, threading.Event] = {}
    CarefulReward.gates = gates
    yield gates
    for gate in gates.values():
        gate.set()


@pytest.fixture
def bench(tmp_path: Path, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]) -> Iterator[Bench]:
    bench = Bench(tmp_path, CarefulReward)
    yield bench
    bench.close()


def test_a_batch_is_prepared_while_the_device_scores_another(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"] = threading.Event()
    bench.add("a", "b")
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    assert not bench.replies
    gates["score a"].set()
    assert [bench.judgement(key).score for key in "ab"] == [1.0, 1.0]
    # The first batch was not prepared ahead: the device did both. Which of the two threads is first is open.
    assert sorted(call for call in seen if call[0] == "prepare") == [
        ("prepare", "a", "device"),
        ("prepare", "b", "ahead"),
    ]


def test_no_more_than_two_batches_are_prepared_ahead_and_the_next_one_follows(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"], gates["score b"] = threading.Event(), threading.Event()
    bench.add(*"abcde")
    bench.until(lambda: sum(what == "prepare" for what, _, _ in seen) == 3)
    prepared = [payload.prepared for payload in bench.bench._payloads.values() if payload.prepared is not None]
    assert len(prepared) == 2
    gates["score a"].set()
    bench.until(lambda: sum(what == "prepare" for what, _, _ in seen) == 4)
    assert sum(payload.prepared is not None for payload in bench.bench._payloads.values() if payload.waiting) == 2
    gates["score b"].set()
    assert [bench.judgement(key).score for key in "abcde"] == [1.0] * 5
    assert len([call for call in seen if call[0] == "prepare"]) == 5


def test_the_device_waits_for_a_batch_that_is_being_prepared(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"], gates["prepare b"] = threading.Event(), threading.Event()
    bench.add("a", "b", "c")
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    gates["score a"].set()
    bench.judgement("a")
    bench.until(lambda: bench.bench.jobs.running == j.JobKey("run", "b"))
    assert "b" not in bench.replies
    gates["prepare b"].set()
    assert [bench.judgement(key).score for key in "bc"] == [1.0, 1.0]
    assert [call for call in seen if call[:2] == ("prepare", "b")] == [("prepare", "b", "ahead")]


def test_an_error_in_preparation_fails_only_its_batch_with_its_kind(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"] = threading.Event()
    bench.add("a", "b", "c", **{"prepare b raises": "too_odd"})
    bench.until(lambda: ("prepare", "c", "ahead") in seen)
    gates["score a"].set()
    bench.until(lambda: len(bench.replies) == 3)
    failed = bench.replies["b"]
    assert isinstance(failed, m.Failed)
    assert (failed.stage, failed.kind, failed.message) == ("score", "too_odd", "prepare of b")
    assert [bench.judgement(key).score for key in "ac"] == [1.0, 1.0]


def test_a_batch_that_runs_out_of_memory_is_scored_again_as_it_was_prepared(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"] = threading.Event()
    bench.add("a", "b", **{"score b raises": "oom"})
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    gates["score a"].set()
    bench.until(lambda: len(bench.replies) == 2)
    assert isinstance(bench.replies["b"], m.Failed)
    assert [call[0] for call in seen if call[1] == "b"] == ["prepare", "score", "score"]


def test_a_batch_prepared_by_another_checkpoint_is_prepared_again(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"] = threading.Event()
    bench.add("a", "b")
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    bench.bench.act(bench.bench.jobs.set_usable(False))
    gates["score a"].set()
    bench.judgement("a")
    bench.on_device(lambda: bench.load("second"))
    bench.bench.act(bench.bench.jobs.set_usable(True))
    judgement = bench.judgement("b")
    assert (judgement.score, judgement.response) == (1.0, "second by second")


@pytest.mark.parametrize("residency", ["host", "disk"])
def test_a_model_is_not_moved_while_it_prepares_and_its_batch_stays_valid_if_it_stays(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event], residency: m.Residency
) -> None:
    gates["score a"], gates["prepare b"] = threading.Event(), threading.Event()
    bench.add("a", "b")
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    bench.bench.act(bench.bench.jobs.set_usable(False))
    gates["score a"].set()
    bench.judgement("a")
    moved: list[Any] = []
    started = threading.Event()

    def move() -> None:
        started.set()
        bench.holder.place(residency)

    bench.device.submit(Call(moved.append, move, 60.0))
    assert started.wait(60)
    gates["prepare b"].set()
    bench.until(lambda: moved)
    if residency == "host":
        assert seen[-2:] == [("prepare over", "b", "ahead"), ("place", "", "device")]
    bench.on_device(lambda: bench.holder.place("device"))
    bench.bench.act(bench.bench.jobs.set_usable(True))
    assert bench.judgement("b").score == 1.0
    assert sum(call[:2] == ("prepare", "b") for call in seen) == (1 if residency == "host" else 2)


def test_without_a_free_core_nothing_is_prepared_ahead(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    bench.core_is_free = False
    gates["score a"] = threading.Event()
    bench.add("a", "b")
    gates["score a"].set()
    assert [bench.judgement(key).score for key in "ab"] == [1.0, 1.0]
    assert {thread for _, _, thread in seen} == {"device"}


def test_a_cancelled_batch_is_not_prepared(
    bench: Bench, seen: list[tuple[str, str, str]], gates: dict[str, threading.Event]
) -> None:
    gates["score a"], gates["prepare b"] = threading.Event(), threading.Event()
    bench.add("a", "b", "c")
    bench.until(lambda: ("prepare", "b", "ahead") in seen)
    bench.until(lambda: bench.bench._payloads[j.JobKey("run", "c")].prepared)
    bench.bench.act(bench.bench.jobs.cancel("run", ["c"]))
    bench.add("d")
    gates["prepare b"].set()
    gates["score a"].set()
    assert [bench.judgement(key).score for key in "abd"] == [1.0] * 3
    assert not [call for call in seen if call[1] == "c"]


def test_a_reward_that_prepares_nothing_gets_its_requests_unchanged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PlainReward)
    bench.add("a", "b", "c")
    assert [bench.judgement(key).score for key in "abc"] == [1.0] * 3
    bench.close()
