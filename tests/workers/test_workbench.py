"""A worker keeps nothing of a job once its result is acknowledged."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from tests.waiting import wait_until
from tests.workers.simulated_requests import spec_of
from workers import jobs as j
from workers.codec_threads import Payload
from workers.codecs import encode_png
from workers.device import Device
from workers.holder import ModelHolder
from workers.interface import ScoreRequest, WorkerContext
from workers.payloads import JobResult, PreparedBatch
from workers.workbench import Workbench


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("role", ["editor", "reward"])
def test_an_acknowledged_job_is_freed_at_once_without_the_garbage_collector(
    tmp_path: Path, without_collector: None, role: m.Role
) -> None:
    before = [id(item) for item in kept()]
    mailbox = Mailbox()
    device = Device(lambda: mailbox.post(lambda: None), print)
    holder = ModelHolder("cpu", device.watchdog, WorkerContext(folder=tmp_path))
    holder.load(spec_of(role), "device", serial=False, timeout=60.0, enter=lambda _: None)
    device.watchdog.disarm()
    sent: list[m.Message] = []

    def answered() -> bool:
        bench.catch_up()
        mailbox.run()
        bench.take_outcomes()
        bench.line_up()
        return sum(isinstance(message, m.Edited | m.Scored | m.Failed) for message in sent) == 2

    def send(run: str, message: m.Message, images: Sequence[Buffer]) -> None:
        sent.append(message)

    bench = Workbench(mailbox, device, holder, send, lambda: None, lambda: True)
    bench.jobs.attach("run")
    bench.act(bench.jobs.set_usable(True))
    for number in range(3):
        jobs = [f"a/{number}#{sample}" for sample in (1, 2)]  # the second one is decoded, and prepared, ahead
        for job in jobs:
            bench.add(edit(job) if role == "editor" else batch(job), [encode_png(Image.new("RGB", (8, 8)))])
        wait_until(answered)
        assert not any(isinstance(message, m.Failed) for message in sent)
        sent.clear()
        for job in jobs:
            bench.act(bench.jobs.acknowledged(j.JobKey("run", job)))
    mailbox.close()
    # The codec thread that posted the last event has to return first.
    wait_until(lambda: all(id(item) in before for item in kept()), seconds=5.0)


def kept() -> list[object]:
    return [item for item in gc.get_objects() if type(item) in (Payload, JobResult, PreparedBatch, ScoreRequest)]


def edit(job: str) -> m.Edit:
    return m.Edit(
        run="run",
        incarnation="life",
        epoch=1,
        job=job,
        key="a/1",
        round=None,
        instruction="change it",
        seed=0,
        parameters={"latency_ms": 1.0},
    )


def batch(job: str) -> m.Score:
    item = m.ScoreItem(item="1", key="a/1", with_source=False, prompts=[m.Prompt(aspect="", system="", user="")])
    return m.Score(run="run", incarnation="life", epoch=1, job=job, items=[item], parameters={"latency_ms": 20.0})
