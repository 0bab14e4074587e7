"""The device continues with the next edit by itself, and the loop always sees events in order."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs
from PIL import Image

from protocol import messages as m
from protocol.codec import Buffer
from protocol.mailbox import Mailbox
from tests.waiting import wait_until
from tests.workers.test_workbench import edit
from workers import jobs as j
from workers.codecs import encode_png
from workers.device import Device
from workers.holder import ModelHolder
from workers.interface import Editor, EditRequest, Progress, WorkerContext
from workers.workbench import Workbench

gates: dict[str, threading.Event] = {}
started: list[str] = []


class GatedEditor(Editor):
    """An editor that ends an edit when its gate is opened."""

    draws = False

    def load(self, residency: m.Residency) -> None:
        pass

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        if self.draws:
            request.image.paste((255, 255, 255), (0, 0, *request.image.size))
        started.append(request.instruction)
        assert gates[request.instruction].wait(30)
        return request.image


class Bench:
    """A workbench whose loop is driven by the test."""

    def __init__(self, folder: Path) -> None:
        self.mailbox = mailbox = Mailbox()
        # The device's thread outlives the test and must not hold the workbench.
        self.device = Device(lambda: mailbox.post(lambda: None), print)
        self.holder = ModelHolder("cpu", self.device.watchdog, WorkerContext(folder=folder))
        spec = m.ModelSpec(role="editor", class_path=f"{__name__}.GatedEditor", name="gated", params={})
        self.holder.load(spec, "device", serial=False, timeout=60.0, enter=lambda _: None)
        self.sent: list[tuple[str, str]] = []
        self.edited: dict[str, m.Edited] = {}
        self.thumbnails: dict[str, list[bytes]] = {}
        self.bench = Workbench(self.mailbox, self.device, self.holder, self._send, lambda: None)
        self.jobs = self.bench.jobs
        self.jobs.attach("run")
        self.bench.act(self.jobs.set_usable(True))

    def _send(self, run: str, message: m.Message, images: Sequence[Buffer]) -> None:
        assert isinstance(message, m.AtBarrier | m.Edited | m.Failed)
        self.sent.append((type(message).__name__, message.job))
        if isinstance(message, m.Edited):
            self.edited[message.job] = message
            self.thumbnails[message.job] = [bytes(image) for image in images[1:]]

    def add(self, *names: str) -> None:
        for name in names:
            gates[name] = threading.Event()
            self.bench.add(structs.replace(edit(name), instruction=name), [encode_png(Image.new("RGB", (8, 8)))])

    def begin(self, name: str) -> None:
        self.add(name)

        def look() -> bool:
            self.turn()
            return started[-1:] == [name]

        wait_until(look)

    def turn(self) -> None:
        self.bench.catch_up()
        self.mailbox.run()
        self.bench.take_outcomes()

    def until(self, *sent: tuple[str, str]) -> None:
        def look() -> bool:
            self.turn()
            return set(sent) <= set(self.sent)

        wait_until(look)

    def decoded(self, count: int) -> None:
        def look() -> bool:
            self.turn()
            queued = self.jobs.unfinished("run")[0]
            return sum(self.bench._payloads[j.JobKey("run", name)].decoded is not None for name in queued) == count

        wait_until(look)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A workbench with one finished edit, and the next one on the device."""
    started.clear()
    bench = Bench(tmp_path)
    bench.add("first")
    gates["first"].set()
    bench.until(("Edited", "first"))
    bench.begin("a")
    bench.sent.clear()
    yield bench
    for gate in gates.values():
        gate.set()


def test_the_device_continues_while_the_loop_is_busy(bench: Bench) -> None:
    bench.add("b", "c")
    bench.decoded(2)
    bench.bench.line_up()
    gates["a"].set()
    wait_until(lambda: started[-1] == "b")  # nobody has turned the loop
    assert bench.jobs.running == j.JobKey("run", "a")
    bench.bench.catch_up()
    assert bench.jobs.running == j.JobKey("run", "b")
    assert bench.sent[0] == ("AtBarrier", "a")
    gates["b"].set()
    gates["c"].set()
    bench.until(("Edited", "a"), ("Edited", "b"), ("Edited", "c"))
    assert started == ["first", "a", "b", "c"]


def test_both_jobs_may_end_before_the_next_turn_of_the_loop(bench: Bench) -> None:
    bench.add("b", "c")
    bench.decoded(2)
    bench.bench.line_up()
    gates["a"].set()
    gates["b"].set()
    ended = bench.device._outcomes
    wait_until(lambda: len(ended) == 2)
    bench.bench.catch_up()
    assert [entry for entry in bench.sent if entry[0] == "AtBarrier"] == [("AtBarrier", "a"), ("AtBarrier", "b")]
    wait_until(lambda: started[-1] == "c")
    gates["c"].set()
    bench.until(("Edited", "a"), ("Edited", "b"), ("Edited", "c"))


def test_a_job_that_is_cancelled_in_time_never_starts(bench: Bench) -> None:
    bench.add("b", "c")
    bench.decoded(2)
    bench.bench.line_up()
    bench.bench.catch_up()
    bench.bench.act(bench.jobs.cancel("run", ["b"]))
    bench.bench.line_up()
    gates["a"].set()
    gates["c"].set()
    bench.until(("Edited", "a"), ("Edited", "c"))
    assert started == ["first", "a", "c"]


def test_a_job_that_the_device_has_continued_with_cannot_be_cancelled(bench: Bench) -> None:
    bench.add("b")
    bench.decoded(1)
    bench.bench.line_up()
    gates["a"].set()
    wait_until(lambda: started[-1] == "b")
    bench.bench.catch_up()
    bench.bench.act(bench.jobs.cancel("run", None))
    gates["b"].set()
    bench.until(("Edited", "a"), ("Edited", "b"))


def test_nothing_is_lined_up_while_the_model_is_about_to_move(bench: Bench) -> None:
    bench.add("b")
    bench.decoded(1)
    bench.bench.act(bench.jobs.set_usable(False))
    bench.bench.line_up()
    gates["a"].set()
    bench.until(("Edited", "a"))
    assert started[-1] == "a"
    bench.bench.act(bench.jobs.set_usable(True))
    gates["b"].set()
    bench.until(("Edited", "b"))


class Watched(threading.Event):
    """An event that records the timeouts of its waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return super().wait(timeout)


def test_decoding_ahead_is_delayed_only_while_the_device_works(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.codec_threads._DELAY_SECONDS", 3600.0)
    bench.bench.codecs._job_seconds = 1e6
    bench.bench.codecs._idle = idle = Watched()
    bench.add("b")
    wait_until(lambda: any(seconds > 3000 for seconds in idle.waits))
    assert bench.bench._payloads[j.JobKey("run", "b")].decoded is None
    gates["a"].set()
    bench.until(("Edited", "a"))
    assert bench.bench.codecs._job_seconds < 1000
    gates["b"].set()
    bench.until(("Edited", "b"))
    assert bench.edited["b"].thumbnails == ["edit", "source"]


def test_work_is_delayed_only_once_per_job_of_the_device(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.codec_threads._DELAY_SECONDS", 3600.0)
    bench.bench.codecs._job_seconds = 1e6
    bench.bench.codecs._job_started -= 8000
    bench.add("b", "c")
    bench.decoded(2)
    bench.bench.codecs._idle = idle = Watched()
    wait_until(lambda: all(payload.source_thumbnail for payload in bench.bench._payloads.values()))
    assert not any(idle.waits), "the delay has passed"


def test_an_editor_that_draws_on_its_source_does_not_draw_on_its_thumbnail(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.codec_threads._DELAY_SECONDS", 3600.0)
    monkeypatch.setattr(GatedEditor, "draws", True)
    bench.bench.codecs._job_seconds = 1e6
    gates["a"].set()
    bench.until(("Edited", "a"))
    bench.begin("b")
    gates["b"].set()
    bench.until(("Edited", "b"))
    edit, source = (Image.open(io.BytesIO(jpeg)).getpixel((0, 0)) for jpeg in bench.thumbnails["b"])
    assert (edit, source) == ((255, 255, 255), (0, 0, 0))


def test_the_first_edit_of_a_process_is_reported_before_the_next_starts(tmp_path: Path) -> None:
    started.clear()
    bench = Bench(tmp_path)
    bench.begin("a")
    bench.add("b")
    bench.decoded(1)
    bench.bench.line_up()
    gates["a"].set()
    wait_until(lambda: len(bench.device._outcomes) == 1)
    assert started == ["a"]
    gates["b"].set()
    bench.until(("Edited", "a"), ("Edited", "b"))
