"""A real run in a pool whose launcher and workers lie: what is wrong is dropped or told, never taken for a result."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections.abc import Iterator, Sequence
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
from protocol.codec import Buffer, encode
from protocol.messages import MAX_THUMBNAIL_BYTES
from protocol.pool import read_pool_card
from protocol.sockets import Link
from tests.end_to_end.liars import Answer, Liars, Spoil, honest, png
from tests.harness import User, new_user, small_benchmark
from tests.protocol.struct_types import mutants, sample
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

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
        assert user.check("workers", "stop", "--config", path).code == 0
    assert received is not None
    assert isinstance(received[0], m.PoolStatus)
    return received[0].workers


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
