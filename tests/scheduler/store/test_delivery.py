"""The thread that makes images and rows durable."""

from __future__ import annotations

import queue
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from scheduler.store.delivery import Delivery, LedgerEntry
from scheduler.store.rows import FailedRow, PlannedRow, Row, decode_row
from scheduler.store.run_directory import RunDirectory

Posts = queue.SimpleQueue[Callable[[], None]]


def planned(pair_id: str) -> PlannedRow:
    return PlannedRow(category="c", pair_id=pair_id, source_sha256=None, instruction=None, description=None)


def open_delivery(folder: Path) -> tuple[Delivery, Posts, list[Exception]]:
    posts: Posts = queue.SimpleQueue()
    failures: list[Exception] = []
    return Delivery(folder / "results.jsonl", posts.put, failures.append), posts, failures


def test_rows_are_in_order_and_their_images_are_on_disk_when_it_says_so(tmp_path: Path) -> None:
    delivery, posts, _ = open_delivery(tmp_path)
    seen: list[tuple[str, bool, int]] = []

    def look(name: str, image: Path) -> None:
        seen.append((name, image.exists(), (tmp_path / "results.jsonl").read_bytes().count(b"\n")))

    for number in range(20):
        image = tmp_path / "images" / "c" / f"{number}.png"
        done = lambda name=str(number), image=image: look(name, image)  # noqa: E731 - binds this turn's values
        delivery.put(LedgerEntry([planned(str(number))], image=(str(image), b"png"), done=done))
    for _ in range(20):
        posts.get(timeout=30)()
    delivery.close()

    assert [name for name, _, _ in seen] == [str(number) for number in range(20)]
    assert all(there and rows > int(name) for name, there, rows in seen)
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines()
    assert [decode_row(line) for line in lines] == [planned(str(number)) for number in range(20)]


def test_closing_writes_the_remaining_items(tmp_path: Path) -> None:
    delivery, _, _ = open_delivery(tmp_path)
    for number in range(50):
        delivery.put(LedgerEntry([planned(str(number))]))
    delivery.close()
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == 50


def test_the_first_items_do_not_wait_for_all_later_ones(tmp_path: Path) -> None:
    started, go = threading.Event(), threading.Event()
    images = tmp_path / "images"
    written: list[int] = []

    def held_up() -> Iterator[Row]:
        started.set()
        assert go.wait(30)
        yield planned("held up")

    def post(done: Callable[[], None]) -> None:
        written.append(len(list(images.iterdir())))

    delivery = Delivery(tmp_path / "results.jsonl", post, lambda _: None)
    delivery.put(LedgerEntry(held_up()))
    assert started.wait(30)
    for number in range(300):
        delivery.put(LedgerEntry([], image=(f"{images}/{number}.png", b"png"), done=lambda: None))
    go.set()
    delivery.close()
    assert written[0] <= 64
    assert len(written) == written[-1] == 300


def test_rows_of_a_generator_are_made_as_they_are_written(tmp_path: Path) -> None:
    delivery, posts, _ = open_delivery(tmp_path)
    tracemalloc.start()
    delivery.put(LedgerEntry((planned(str(number)) for number in range(20_000)), done=lambda: None))
    posts.get(timeout=60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    delivery.close()
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == 20_000
    assert peak < 500_000


def test_an_image_is_removed_only_after_its_score_is_safe(tmp_path: Path) -> None:
    delivery, posts, _ = open_delivery(tmp_path)
    image = tmp_path / "edit.png"
    image.write_bytes(b"png")
    row = FailedRow(category="c", pair_id="1", sample=0, stage="score", kind="error", message="m")
    delivery.put(LedgerEntry([row], remove=str(image), done=lambda: None))
    posts.get(timeout=30)
    delivery.close()
    assert not image.exists()
    assert b'"stage":"score"' in (tmp_path / "results.jsonl").read_bytes()


def test_a_full_disk_is_reported_once_and_nothing_more_is_written(tmp_path: Path) -> None:
    delivery, posts, failures = open_delivery(tmp_path)
    (tmp_path / "blocked").write_text("a file where a folder should be")
    for number in range(3):
        target = tmp_path / "blocked" / "c" / f"{number}.png"
        delivery.put(LedgerEntry([planned(str(number))], image=(str(target), b"png"), done=failures.clear))
        posts.get(timeout=30)() if number == 0 else None
    delivery.close()

    assert len(failures) == 1
    assert (tmp_path / "results.jsonl").read_bytes() == b"", "no row tells of an image that is not there"


def test_a_run_folder_is_never_taken_twice(tmp_path: Path) -> None:
    stamps = {RunDirectory.create(tmp_path).stamp for _ in range(5)}
    assert len(stamps) == 5


def test_an_image_stays_inside_whatever_the_ids_are(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    for pair_id in ("a", "x" * 200, "图" * 200, "😀" * 200, "a b", "-rf", "con"):
        path = Path(directory.image_path("类" * 200, pair_id, 0))
        assert path.resolve().is_relative_to(directory.path.resolve())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"png")
        assert directory.recorded(str(path)) == str(path.relative_to(directory.path))
    long = {directory.image_path("c", "图" * 199 + last, 0) for last in "abc"}
    assert len(long) == 3, "shortened names still differ"
    assert directory.image_path("c", "1", 0) != directory.image_path("c", "1", 1)


def test_thumbnails_are_on_disk_when_it_says_so_and_a_failed_one_changes_nothing_else(
    tmp_path: Path,
) -> None:
    delivery, posts, failures = open_delivery(tmp_path)
    small = tmp_path / "thumbnails" / "edit" / "c" / "1.jpg"
    seen: list[bytes] = []
    image = (str(tmp_path / "images" / "1.png"), b"png")
    done = lambda: seen.append(small.read_bytes())  # noqa: E731 - one line says it
    delivery.put(LedgerEntry([planned("1")], image=image, thumbnails=[(str(small), memoryview(b"jpeg"))], done=done))
    posts.get(timeout=30)()
    assert seen == [b"jpeg"]

    in_the_way = str(small / "2.jpg")  # a file is where its folder should be
    delivery.put(LedgerEntry([planned("2")], image=image, thumbnails=[(in_the_way, b"jpeg")], done=done))
    posts.get(timeout=30)()
    delivery.close()
    assert (seen, failures) == ([b"jpeg"] * 2, [])
    assert (tmp_path / "results.jsonl").read_bytes().count(b"\n") == 2
