"""A real run in a pool whose launcher and workers lie: what is wrong is dropped or told, never taken for a result."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import psutil
import pytest
import zmq
from PIL import Image

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.codec import Buffer, ProtocolError, encode
from protocol.messages import MAX_THUMBNAIL_BYTES
from protocol.pool import POOL_CARD, PoolCard, private_folder, read_pool_card, write_card
from protocol.processes import create_time
from protocol.sockets import Link, Listener, ipc_endpoint
from tests.harness import User, new_user, small_benchmark
from tests.protocol.struct_types import mutants, sample
from tests.waiting import wait_until

Answer = list[Buffer]
Spoil = Callable[[m.RunMessage, Sequence[Buffer]], list[Answer]]
PAIRS = 8


def config(user: User, **sections: Any) -> Path:
    """Two editors and a reward, which the liars stand in for."""
    data = small_benchmark(user.folder / "data.json", pairs=PAIRS // 2)
    return user.simulated(data, pool={"name": "liars"}, **sections)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[m.WorkerStatus]:
    """How honest workers of this config present themselves."""
    with new_user(tmp_path_factory.mktemp("honest")) as user:
        path = config(user)
        assert user.run("workers", "start", "--config", path).code == 0
        card = read_pool_card(user.home / "liars")
        assert card is not None
        with zmq.Context() as context, Link(context, card.endpoint) as link:
            link.send(m.Hello(run="watcher", incarnation="any", protocol_version=PROTOCOL_VERSION, version=VERSION))
            assert link.socket.poll(20_000)
            received = link.receive()
        assert user.run("workers", "stop", "--config", path).code == 0
    assert received is not None
    assert isinstance(received[0], m.PoolStatus)
    return received[0].workers


def honest(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
    """What was to be said, once."""
    return [encode(message, images)]


class Liars:
    """A launcher and its workers in a thread: they do their work, and ``spoil`` has the last word on what they say."""

    def __init__(self, folder: Path, workers: Sequence[m.WorkerStatus], spoil: Spoil) -> None:
        private_folder(folder.parent)
        private_folder(folder)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._launcher = Listener(self._context, ipc_endpoint(folder / "pool.sock"))
        self._spoil = spoil
        self._statuses: dict[str, m.WorkerStatus] = {}
        self._listeners: dict[str, Listener] = {}
        for worker in workers:
            listener = Listener(self._context, ipc_endpoint(folder / f"{worker.worker_id}.sock"))
            self._listeners[worker.worker_id] = listener
            self._statuses[worker.worker_id] = msgspec.structs.replace(
                worker, endpoint=listener.endpoint, pid=os.getpid()
            )
        created = create_time(os.getpid())
        write_card(
            folder / POOL_CARD,
            PoolCard(
                endpoint=self._launcher.endpoint,
                pid=os.getpid(),
                pid_create_time=created,
                protocol_version=PROTOCOL_VERSION,
                version=VERSION,
                started=created,
            ),
        )
        self._peers: dict[str, tuple[bytes, str]] = {}
        self._beat = 0.0
        self._over = False
        self.problems: list[Exception] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            while not self._over:
                self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            self.problems.append(error)
        for listener in (self._launcher, *self._listeners.values()):
            listener.close()
        self._context.destroy(0)

    def _turn(self) -> None:
        poller = zmq.Poller()
        for listener in (self._launcher, *self._listeners.values()):
            poller.register(listener.socket, zmq.POLLIN)
        poller.poll(50)
        self._hear("", self._launcher)
        for name, listener in self._listeners.items():
            self._hear(name, listener)
        if time.monotonic() - self._beat > 0.2:
            self._beat = time.monotonic()
            for name, (peer, run) in self._peers.items():
                status = self._statuses[name]
                beat = m.Heartbeat(run=run, incarnation=status.incarnation, state=status.state)
                self._listeners[name].send(peer, beat)

    def _hear(self, name: str, listener: Listener) -> None:
        with contextlib.suppress(ProtocolError):
            while (received := listener.receive()) is not None:
                peer, message, _ = received
                if isinstance(message, m.Hello) and name:
                    self._peers[name] = (peer, message.run)
                if isinstance(message, m.Goodbye):
                    self._peers.pop(name, None)
                answers = self._of_worker(name, message) if name else self._of_launcher(message)
                for answer, images in answers:
                    for frames in self._spoil(answer, images):
                        listener._send_frames([peer, *frames])

    def _of_launcher(self, message: m.AnyMessage) -> Iterator[tuple[m.RunMessage, Sequence[Buffer]]]:
        common: dict[str, Any] = {"run": message.run, "incarnation": "launcher"}
        if isinstance(message, m.Hello | m.Status):
            status: dict[str, Any] = {"holders": [], "waiting": [], "keep": True, "stopping": False}
            yield m.PoolStatus(**common, workers=list(self._statuses.values()), **status), ()
        elif isinstance(message, m.Lease):
            yield m.Granted(**common, epoch=1, mode=message.mode), ()

    def _of_worker(self, name: str, message: m.AnyMessage) -> Iterator[tuple[m.RunMessage, Sequence[Buffer]]]:
        status = self._statuses[name]
        common: dict[str, Any] = {"run": message.run, "incarnation": status.incarnation}
        times: dict[str, Any] = {"started": time.time() - 0.01, "finished": time.time()}
        assert status.state is not None
        match message:
            case m.Hello():
                who: dict[str, Any] = {"worker_id": name, "role": status.role, "device": "cpu", "version": VERSION}
                yield m.Welcome(**common, **who, protocol_version=PROTOCOL_VERSION, state=status.state), ()
            case m.Edit():
                yield m.AtBarrier(**common, **times, job=message.job, round=message.round), ()
                yield edited(message, name, png((4, 3), message.key), **times)
            case m.Score():
                judgement = m.Judgement(score=5.0, method="simulated", response=name)
                items = [m.ScoredItem(item=item.item, judgements=[judgement]) for item in message.items]
                yield m.Scored(**common, **times, job=message.job, items=items), ()

    def close(self) -> None:
        """End it."""
        self._over = True
        self._thread.join()
        assert self.problems == []


def edited(edit: m.Edit, name: str, image: bytes, **times: Any) -> tuple[m.Edited, list[bytes]]:
    """An honest result."""
    digest = hashlib.sha256(image).hexdigest()
    common: dict[str, Any] = {"run": edit.run, "incarnation": edit.incarnation, "job": edit.job}
    return m.Edited(**common, **times, width=4, height=3, sha256=digest), [image]


def png(size: tuple[int, int], key: str = "") -> bytes:
    """An image that is the pair's own."""
    stream = io.BytesIO()
    Image.new("RGB", size, (len(key) % 256, sum(key.encode()) % 256, 7)).save(stream, "PNG")
    return stream.getvalue()


@contextlib.contextmanager
def lying(user: User, workers: Sequence[m.WorkerStatus], spoil: Spoil) -> Iterator[Liars]:
    """Liars in the place of the pool."""
    liars = Liars(user.home / "liars", workers, spoil)
    try:
        yield liars
    finally:
        liars.close()


def run(user: User, path: Path) -> tuple[int, str, int]:
    """Run to the end: exit code, output, and the most memory that was seen."""
    peak = 0
    process = user.start("run", "--config", path, "--no-launch")
    watched = psutil.Process(process.pid)

    def over() -> bool:
        nonlocal peak
        with contextlib.suppress(psutil.Error):
            peak = max(peak, watched.memory_info().rss)
        return process.poll() is not None

    try:
        wait_until(over, seconds=60)
    finally:
        process.kill()
        output, _ = process.communicate()
    assert "Traceback" not in output, output
    return process.returncode, output, peak


def noise(dice: random.Random) -> Answer:
    """Bytes, or a message that is wrong in one place, or one with a surplus of frames."""
    kind = dice.choice(get_args(m.AnyMessage))
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    broken = dice.choice([wrong for _, wrong in mutants(info)])
    kinds: list[Answer] = [
        [dice.randbytes(dice.randrange(200))],
        [msgpack.packb(broken, use_bin_type=True), *[b"image"] * dice.randrange(3)],
        [msgpack.packb(sample(info), use_bin_type=True), *[b"image"] * 7],
        [b"x" * 20_000_000] if dice.random() < 0.05 else [b""],
    ]
    return dice.choice(kinds)


@pytest.mark.slow
def test_noise_foreign_incarnations_duplicates_and_unrequested_results_change_nothing(
    user: User, workers: list[m.WorkerStatus]
) -> None:
    dice = random.Random(1)  # noqa: S311 - no secret

    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        said = encode(message, images)
        if isinstance(message, m.PoolStatus | m.Granted):
            return [*(noise(dice) for _ in range(20)), said]
        strange = encode(msgspec.structs.replace(message, incarnation="an earlier life"), images)
        foreign = encode(msgspec.structs.replace(message, run="another-run"), images)
        others = [noise(dice) for _ in range(20)]
        if isinstance(message, m.AtBarrier | m.Edited | m.Scored):
            others.append(encode(msgspec.structs.replace(message, job="never given"), images))
            others += [said, said]
        return [*others, strange, foreign, said]

    with lying(user, workers, spoil):
        code, output, peak = run(user, config(user))
    assert code == 0, output
    assert len(user.rows("edited")) == len(user.rows("scored")) == PAIRS
    assert peak < 300 * 2**20
    assert output.count("an invalid message") <= 6, "logged once for each"
    assert len(output) < 20_000


LIES = ("sha256", "no image", "size", "nothing")


def lie(number: int, message: m.Edited) -> tuple[m.Edited, list[bytes]]:
    """One of the lies about an edit."""
    other = png((9, 9))
    digest = hashlib.sha256(other).hexdigest()
    match LIES[number % len(LIES)]:
        case "sha256":
            return message, [other]
        case "no image":
            text = b"this is no image at all"
            return msgspec.structs.replace(message, sha256=hashlib.sha256(text).hexdigest()), [text]
        case "size":
            return msgspec.structs.replace(message, sha256=digest, width=8, height=9), [other]
        case _:
            return msgspec.structs.replace(message, sha256=hashlib.sha256(b"").hexdigest()), [b""]


def test_an_edit_that_differs_from_its_description_is_a_failure_and_is_never_scored(
    user: User, workers: list[m.WorkerStatus]
) -> None:
    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        if isinstance(message, m.Edited) and message.job.startswith("物理/"):
            return [encode(*lie(int(message.job.split("/")[1]), message))]
        return honest(message, images)

    with lying(user, workers, spoil):
        code, output, _ = run(user, config(user))
    assert code == 3, output
    failed = user.rows("failed")
    assert {(row["category"], row["stage"], row["kind"]) for row in failed} == {("物理", "edit", "error")}
    assert len(failed) == PAIRS // 2
    assert {row["category"] for row in user.rows("scored")} == {row["category"] for row in user.rows("edited")}
    for row in user.rows("edited"):
        content = (user.run_folder() / row["image"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]


def test_an_invalid_thumbnail_is_left_out_and_the_edit_is_kept(user: User, workers: list[m.WorkerStatus]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3)).save(stream, "JPEG")
    lies = (b"", b"no picture", stream.getvalue() + bytes(MAX_THUMBNAIL_BYTES) + b"\xff\xd9", stream.getvalue())

    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        if isinstance(message, m.Edited):
            small = lies[int(message.job.split("/")[1]) % len(lies)]
            changed = msgspec.structs.replace(message, thumbnails=["source", "edit"])
            return [encode(changed, [*images, small, small])]
        return honest(message, images)

    with lying(user, workers, spoil):
        code, output, _ = run(user, config(user, evaluation={"save_generated_images": False}))
    assert code == 0, output
    assert output.count("thumbnail, from editor-") == 2 * PAIRS * 3 // 4
    left = {str(path.relative_to(user.run_folder() / "thumbnails")) for path in user.run_folder().glob("**/*.jpg")}
    sources = {f"source/{category}/{number}.jpg" for category in ("物理", "spatial") for number in range(PAIRS // 2)}
    assert left == sources | {"edit/物理/3.jpg", "edit/spatial/3.jpg"}, "a lost source is made anew from the data"


def test_an_answer_for_a_job_of_another_worker_is_dropped(user: User, workers: list[m.WorkerStatus]) -> None:
    """Editor-1 answers with each job of its colleague's too, before that one can; the colleague's own answers count."""
    colleague: list[m.Edited | m.Failed] = []

    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        if message.incarnation == workers[0].incarnation and isinstance(message, m.AtBarrier):
            common: dict[str, Any] = {"run": message.run, "incarnation": workers[1].incarnation, "job": message.job}
            colleague.append(m.Failed(**common, stage="edit", kind="oom", message="a lie"))
        elif message.incarnation == workers[1].incarnation and colleague:
            return [*(encode(answer) for answer in colleague), encode(message, images)]
        return honest(message, images)

    editors = [worker for worker in workers if worker.role == "editor"]
    assert [worker.incarnation for worker in workers[:2]] == [worker.incarnation for worker in editors]
    with lying(user, workers, spoil):
        code, output, _ = run(user, config(user))
    assert colleague
    assert code == 0, output
    assert user.rows("failed") == []


def test_scores_of_unknown_items_and_missing_ones_are_failures_with_a_reason(
    user: User, workers: list[m.WorkerStatus]
) -> None:
    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        if isinstance(message, m.Scored):
            items = [msgspec.structs.replace(item, item=f"unknown/{item.item}") for item in message.items]
            return [encode(msgspec.structs.replace(message, items=items * 2))]
        return honest(message, images)

    with lying(user, workers, spoil):
        code, output, _ = run(user, config(user))
    assert code == 3, output
    assert user.rows("scored") == []
    assert {(row["stage"], row["kind"]) for row in user.rows("failed")} == {("score", "error")}
    assert "0 judgements" in user.rows("failed")[0]["message"]


@pytest.mark.parametrize("endpoint", ["nonsense", "ipc://\x1b[31m" + "x" * 200])
def test_an_invalid_endpoint_ends_the_run_with_a_reason(
    user: User, workers: list[m.WorkerStatus], endpoint: str
) -> None:
    def spoil(message: m.RunMessage, images: Sequence[Buffer]) -> list[Answer]:
        if isinstance(message, m.PoolStatus):
            wrong = [msgspec.structs.replace(worker, endpoint=endpoint) for worker in message.workers]
            return [encode(msgspec.structs.replace(message, workers=wrong))]
        return honest(message, images)

    with lying(user, workers, spoil):
        code, output, _ = run(user, config(user))
    assert code == 1, output
    assert "editor-0" in output
    assert "\x1b" not in output
