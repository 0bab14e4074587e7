"""What makes the thumbnails that workers have not brought, and what is accepted of those that they bring."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from protocol.messages import MAX_THUMBNAIL_BYTES
from scheduler.benchmark.pairs import PairError, SourceImage
from scheduler.report.thumbnails import fill_in, small_jpeg
from scheduler.stages.edit_rows import thumbnail_problem
from scheduler.store.rows import Row
from scheduler.store.run_directory import thumbnail_path
from tests.scheduler.rows import edited, failed, planned, report_of
from tests.workers.image_files import file_of, picture, png_header
from workers.codecs import decode_image
from workers.thumbnail_maker import make_thumbnail


class Read:
    """A source whose bytes are given."""

    size, sha256 = (1, 1), ""

    def __init__(self, data: bytes | None) -> None:
        self._data = data

    def read(self) -> bytes:
        if self._data is None:
            raise PairError("bad_image", "it is gone")
        return self._data


def sources(**data: bytes | None) -> Callable[[str, str], SourceImage | None]:
    known = {(f"物理/{name}", "source"): Read(content) for name, content in data.items()}
    return lambda key, name: known.get((key, name))


def made(run: Path) -> set[str]:
    return {str(path.relative_to(run / "thumbnails")) for path in run.glob("thumbnails/**/*") if path.is_file()}


def deep(kind: str) -> bytes:
    values = np.linspace(0, 65535, 500 * 400).reshape(400, 500)
    return file_of(Image.fromarray(values.astype(np.uint16) if kind == "PNG" else values.astype(np.float32)), kind)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(Image.linear_gradient("L").resize((800, 400)).convert("RGB"), "JPEG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        file_of(Image.linear_gradient("L").resize((900, 600))),
        file_of(Image.linear_gradient("L").resize((900, 600)).convert("P"), "GIF"),
        file_of(Image.new("CMYK", (800, 400), (10, 200, 30, 40)), "JPEG"),
        file_of(Image.new("RGBA", (700, 300), (255, 0, 0, 90))),
        file_of(Image.new("LA", (50, 60), (10, 0))),
        deep("PNG"),
        deep("TIFF"),
        turned(),
    ],
    ids=["L", "P", "CMYK", "RGBA", "LA", "I;16", "F", "EXIF"],
)
def test_it_is_the_one_that_a_worker_would_have_made(data: bytes) -> None:
    ours = Image.open(io.BytesIO(small_jpeg(data)))
    theirs = Image.open(io.BytesIO(make_thumbnail(decode_image(data)) or b""))
    assert (ours.size, ours.mode) == (theirs.size, "RGB")
    assert np.abs(np.asarray(ours, float) - np.asarray(theirs)).max() <= 4


def test_a_source_whose_edit_failed_and_an_edit_that_is_on_disk_get_their_pictures(tmp_path: Path) -> None:
    rows: list[Row] = [planned("failed"), failed("failed"), planned("there"), edited("there"), planned("removed")]
    rows += [edited("removed"), planned("to be done")]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "there.png").write_bytes(file_of(picture("RGB", (500, 400))))
    image = file_of(picture())
    pairs = {"failed": image, "there": image, "removed": None, "to be done": image}

    assert fill_in(tmp_path, report_of(rows), sources(**pairs)) == 3
    assert made(tmp_path) == {"source/物理/failed.jpg", "source/物理/there.jpg", "edit/物理/there.jpg"}
    assert fill_in(tmp_path, report_of(rows), sources(**pairs)) == 0, "what is there is not made again"

    lost = Path(thumbnail_path(tmp_path, "物理", "there", 0))
    lost.write_bytes(b"")
    assert fill_in(tmp_path, report_of(rows), sources()) == 1
    with Image.open(lost) as image_again:
        assert image_again.size == (384, 307)


def test_further_images_of_a_pair_get_theirs_in_folders_of_their_names(tmp_path: Path) -> None:
    names = {"source_2": "a" * 64, "reference": "b" * 64, "mask": "c" * 64, "../out": "d" * 64, "edit": "e" * 64}
    rows: list[Row] = [msgspec.structs.replace(planned("1"), images=names), failed("1")]
    images = {name: Read(file_of(picture())) for name in ("source", *names) if name != "mask"}
    assert fill_in(tmp_path, report_of(rows), lambda _, name: images.get(name)) == 3
    assert made(tmp_path) == {f"{name}/物理/1.jpg" for name in ("source", "source_2", "reference")}


def test_hostile_images_and_names_are_passed_over(tmp_path: Path) -> None:
    names = {"bomb": png_header(50_000, 50_000), "text": b"no image", "cut": file_of(picture())[:60], "none": b""}
    rows: list[Row] = [row for name in names for row in (planned(name), failed(name))]
    rows += [planned("../out"), edited("../out"), planned("nul\0"), edited("nul\0")]
    assert fill_in(tmp_path, report_of(rows), sources(**names)) == 0
    assert made(tmp_path) == set()


def test_an_edit_that_was_replaced_by_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    os.mkfifo(tmp_path / "images" / "there.png")
    assert fill_in(tmp_path, report_of([planned("there"), edited("there")]), sources()) == 0


def test_of_what_was_begun_together_it_gives_up_the_rest(tmp_path: Path) -> None:
    class Slow(Read):
        def read(self) -> bytes:
            threading.Event().wait(0.3)
            return super().read()

    rows = [row for number in range(32) for row in (planned(str(number)), failed(str(number)))]
    image = Slow(file_of(picture()))
    assert fill_in(tmp_path, report_of(rows), lambda *_: image, seconds=0.2) <= 4, "one for each thread"


def test_it_gives_up_in_time_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [row for number in range(200) for row in (planned(str(number)), failed(str(number)))]
    image = file_of(picture())
    with caplog.at_level("INFO", "warmbench"):
        fill_in(tmp_path, report_of(rows), sources(**{str(number): image for number in range(200)}), seconds=-1)
    assert made(tmp_path) == set()
    assert "left out" in caplog.text


@pytest.mark.parametrize(
    ("thumbnail", "problem"),
    [
        (b"", "not a JPEG"),
        (b"\xff\xd8\xff", "not a JPEG"),
        (file_of(picture()), "not a JPEG"),
        (small_jpeg(file_of(picture()))[:-1], "not a JPEG"),
        (b"\xff\xd8\xff" + bytes(MAX_THUMBNAIL_BYTES) + b"\xff\xd9", f"at most {MAX_THUMBNAIL_BYTES}"),
    ],
)
def test_content_that_is_not_a_thumbnail_is_refused(thumbnail: bytes, problem: str) -> None:
    assert problem in (thumbnail_problem(memoryview(thumbnail)) or "")
    assert thumbnail_problem(small_jpeg(file_of(picture()))) is None
