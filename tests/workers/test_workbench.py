"""What a worker keeps of its jobs: nothing, once their results are safe."""

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
from workers.codecs import encode_png
from workers.device import Device, Outcome
from workers.holder import ModelHolder
from workers.workbench import Workbench


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_job_that_is_acknowledged_is_gone_at_once_and_not_when_garbage_is_collected(
    tmp_path: Path, without_collector: None
) -> None:
    mailbox = Mailbox()
    device = Device(lambda outcome: mailbox.post(lambda: tell(outcome)))
    holder = ModelHolder("cpu", tmp_path, device.watchdog)
    holder.load(spec_of("editor"), "device", serial=False, timeout=60.0, enter=lambda _: None)
    device.watchdog.disarm()
    sent: list[m.Message] = []

    def tell(outcome: Outcome) -> None:
        outcome.tag(outcome)

    def answered() -> bool:
        mailbox.run()
        return any(isinstance(message, m.Edited | m.Failed) for message in sent)

    def send(run: str, message: m.Message, images: Sequence[Buffer]) -> None:
        sent.append(message)

    bench = Workbench(mailbox, device, holder, send, lambda: None)
    bench.jobs.attach("run")
    bench.act(bench.jobs.usable(True))
    for number in range(3):
        job = f"a/{number}#1"
        bench.add(edit(job), [encode_png(Image.new("RGB", (8, 8), (number, 0, 0)))])
        wait_until(answered)
        assert isinstance(sent[-1], m.Edited)
        sent.clear()
        bench.act(bench.jobs.acknowledged(j.JobKey("run", job)))
    mailbox.close()
    kept = [type(one).__name__ for one in gc.get_objects() if type(one).__name__ in {"_Payload", "Reply"}]
    assert kept == []


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
