"""``warmbench export``: edits in the layout of a benchmark, complete or named as missing; nothing is overwritten."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scheduler.benchmark import load_benchmark
from scheduler.benchmark.edits_elsewhere_files import find_edits
from scheduler.benchmark.units import EditUnit
from scheduler.commands.main import main
from scheduler.store.rows import EditedRow, FailedRow, PlannedRow, Row
from scheduler.store.run_directory import RunDirectory
from tests.scheduler.saved import saved_run

SUBTASK = "Background Change"


def image(number: int, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24 + number, 16), (9 * number, 90, 200)).save(buffer, kind, **options)
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def planned(key: str, category: str = SUBTASK, language: str | None = "en", source: bytes = b"") -> PlannedRow:
    return PlannedRow(
        category=category,
        pair_id=key,
        source_sha256=sha256(source),
        instruction="do it",
        description=None,
        language=language,
    )


def edited(key: str, path: str, data: bytes, *, category: str = SUBTASK, sample: int = 0) -> EditedRow:
    return EditedRow(
        category=category, pair_id=key, sample=sample, identity="A", image=path, sha256=sha256(data), size=(1, 1)
    )


def put(path: Path, data: bytes) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


class Exporting:
    """A run with edits of the keys, and the export of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.to = folder / "model"
        self.rows: list[Row] = []
        self.files: dict[str, bytes] = {}
        self.manifest: dict[str, Any] = {"samples_per_pair": 1}
        self.config: dict[str, Any] = {}

    def edit(self, key: str, data: bytes, *, category: str = SUBTASK, sample: int = 0, **plan: Any) -> None:
        path = f"images{f'-sample-{sample}' if sample else ''}/{category}/{key}.png"
        self.files[path] = data
        self.rows += [planned(key, category, **plan)] if not sample else []
        self.rows.append(edited(key, path, data, category=category, sample=sample))

    def save(self) -> Path:
        run = saved_run(self.folder / "outputs", self.rows, manifest=self.manifest, config=self.config)
        for path, data in self.files.items():
            put(run / path, data)
        return run

    def export(self, layout: str, *options: str | Path) -> int:
        runs = str(self.folder / "outputs")
        return main(
            ["export", "latest", "--output-dir", runs, "--layout", layout, "--to", str(self.to), *map(str, options)]
        )

    def written(self) -> dict[str, bytes]:
        return {
            os.path.relpath(path, self.to): path.read_bytes()
            for folder in sorted(self.folder.glob("model*"))
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def exporting(tmp_path: Path) -> Exporting:
    return Exporting(tmp_path)


def test_every_sample_is_where_the_script_looks_for_it_byte_for_byte(exporting: Exporting) -> None:
    exporting.manifest["samples_per_pair"] = 2
    for number, key in enumerate(("a1", "b2")):
        for sample in range(2):
            exporting.edit(key, image(2 * number + sample), sample=sample)
    exporting.save()
    assert exporting.export("unicbench") == 0
    place = f"{SUBTASK.replace(' ', '_')}/en"
    assert exporting.written() == {
        f"{place}/a1.png": image(0),
        f"../model-sample-1/{place}/a1.png": image(1),
        f"{place}/b2.png": image(2),
        f"../model-sample-1/{place}/b2.png": image(3),
    }


@pytest.mark.parametrize("layout", ["plain", "imgedit", "risebench", "kris", "unicbench"])
def test_an_export_is_read_back_as_the_same_images_of_the_same_pairs(
    exporting: Exporting, layout: str, tmp_path: Path
) -> None:
    lines = []
    for number, key in enumerate(("a1", "b2", "c3")):
        exporting.edit(key, image(number))
        put(tmp_path / "data" / f"{key}.png", image(number + 5))
        lines.append(
            {"key": key, "subtask": SUBTASK, "task": "Scene", "en": "do", "cn": "做", "image_path": f"{key}.png"}
        )
    put(tmp_path / "data" / "test_data.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    exporting.save()
    assert exporting.export(layout) == 0
    benchmark = load_benchmark(tmp_path / "data", language="en")
    edits = find_edits(exporting.to, benchmark, 1, layout)
    assert {unit: Path(path).read_bytes() for unit, path in edits.images.items()} == {
        EditUnit(SUBTASK, key): image(number) for number, key in enumerate(("a1", "b2", "c3"))
    }
    assert edits.warnings == ()


def test_an_export_that_was_interrupted_goes_on_and_a_complete_one_changes_nothing(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        exporting.edit(str(number), image(number))
    exporting.save()
    put(exporting.to / "1.png", image(1))
    before = (exporting.to / "1.png").stat()
    assert exporting.export("imgedit") == 0
    assert "2 edits of run 20251023_230000 written" in (output := capsys.readouterr().out)
    assert "1 more were there already" in output
    after = (exporting.to / "1.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert exporting.export("imgedit") == 0
    assert "0 edits" in capsys.readouterr().out


def test_a_file_with_other_bytes_is_never_overwritten_and_nothing_is_written_beside_it(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        exporting.edit(str(number), image(number))
    exporting.save()
    for number in range(7):
        put(exporting.to / f"{number}.png", b"precious")
    assert exporting.export("imgedit") == 2
    message = capsys.readouterr().err
    assert message.startswith("7 files are there already, and not the same")
    assert "and 2 more" in message
    assert set(exporting.written().values()) == {b"precious"}
    assert len(exporting.written()) == 7


def test_edits_without_an_image_are_named_with_their_reasons(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        exporting.edit(str(number), image(number))
    exporting.rows.append(planned("late"))
    exporting.rows.append(planned("broken"))
    exporting.rows.append(
        FailedRow(category=SUBTASK, pair_id="broken", sample=0, stage="edit", kind="oom", message="out of memory")
    )
    run = exporting.save()
    (run / "images" / SUBTASK / "1.png").unlink()
    put(run / "images" / SUBTASK / "2.png", b"another")
    assert exporting.export("kris") == 3
    output = capsys.readouterr().out
    assert set(exporting.written()) == {f"{SUBTASK}/0.png"}
    assert "4 edits missing:" in output
    assert f"{SUBTASK}/late: it has not been made yet" in output
    assert f"{SUBTASK}/broken: oom: out of memory" in output
    assert "1.png is not there any more" in output
    assert "2.png is no longer the image that was recorded" in output


def test_a_run_that_kept_no_image_says_which_key_keeps_them(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.edit("1", image(1))
    exporting.files.clear()
    exporting.save()
    assert exporting.export("kris") == 2
    assert "evaluation.save_generated_images: true" in capsys.readouterr().err
    assert not exporting.to.exists()


def test_hard_links_are_made_where_asked_for_and_copies_otherwise(exporting: Exporting) -> None:
    exporting.edit("1", image(1))
    run = exporting.save()
    original = run / "images" / SUBTASK / "1.png"
    assert exporting.export("kris") == 0
    copy = exporting.to / SUBTASK / "1.png"
    assert not copy.samefile(original)
    copy.unlink()
    assert exporting.export("kris", "--link") == 0
    assert copy.samefile(original)


def test_an_image_in_a_format_that_the_script_does_not_look_for_becomes_a_png_with_the_same_pixels(
    exporting: Exporting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jpeg, place = image(3, "JPEG"), tmp_path / "elsewhere" / "photo.JPG"
    put(place, jpeg)
    exporting.manifest["edits"] = {"made": "elsewhere", "from": str(place.parent)}
    exporting.rows = [planned("1"), edited("1", str(place), jpeg)]
    exporting.save()
    assert exporting.export("kris") == 0
    assert "1 image converted to PNG" in capsys.readouterr().out
    with Image.open(exporting.to / SUBTASK / "1.png") as png, Image.open(place) as original:
        assert png.format == "PNG"
        assert png.tobytes() == original.tobytes()
    assert exporting.export("risebench") == 0
    assert exporting.written()[f"images/{SUBTASK}/1.jpg"] == jpeg, "RISEBench's script reads it as it is"


def gedit_data(exporting: Exporting, sources: Sequence[bytes]) -> Path:
    """A run over data of the JSON format that says the language; GEdit's own format needs an extra."""
    lines = []
    for number, source in enumerate(sources):
        exporting.edit(str(number), image(number), source=source)
        put(exporting.folder / "data" / f"{number}", source)
        lines.append({"key": str(number), "subtask": SUBTASK, "en": "do", "cn": "做", "image_path": str(number)})
    put(exporting.folder / "data" / "test_data.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    exporting.config = {"benchmark": {"data_path": str(exporting.folder / "data"), "language": "en"}}
    return exporting.save()


def test_gedits_script_gets_each_source_as_a_png_beside_the_edit(exporting: Exporting) -> None:
    gedit_data(exporting, [image(10), image(11, "JPEG")])
    assert exporting.export("gedit") == 0
    written = exporting.written()
    place = f"fullset/{SUBTASK}/en"
    assert set(written) == {f"{place}/{number}{end}.png" for number in range(2) for end in ("", "_SRCIMG")}
    assert written[f"{place}/0_SRCIMG.png"] == image(10)
    png, source = (Image.open(io.BytesIO(data)) for data in (written[f"{place}/1_SRCIMG.png"], image(11, "JPEG")))
    assert (png.format, png.tobytes()) == ("PNG", source.tobytes())


def test_an_edit_whose_source_is_another_image_now_is_named_and_left_out(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    gedit_data(exporting, [image(10), image(11)])
    put(exporting.folder / "data" / "1", image(12))
    assert exporting.export("gedit") == 3
    assert f"{SUBTASK}/1: its source image in the data is another one now" in capsys.readouterr().out
    assert len(exporting.written()) == 2


def test_data_that_was_moved_is_named_with_an_option(exporting: Exporting, capsys: pytest.CaptureFixture[str]) -> None:
    gedit_data(exporting, [image(10)])
    moved = (exporting.folder / "data").rename(exporting.folder / "moved")
    assert exporting.export("gedit") == 2
    assert "name it with --data PATH" in capsys.readouterr().err
    assert exporting.export("gedit", "--data", moved) == 0


@pytest.mark.parametrize(
    ("layout", "pairs", "problem"),
    [
        ("gedlt", [("a", "1")], "there is no layout 'gedlt'; did you mean `gedit`?"),
        ("gedit", [("a", "1")], "the layout gedit does not suit this run: a/1: its language is not known"),
        ("imgedit", [("a", "1"), ("b", "1")], "in the layout imgedit several pairs have one place, 1: a/1, b/1"),
        ("kris", [("..", "1")], "the layout kris does not suit this run: ../1: '..' cannot be a file name"),
    ],
)
def test_a_layout_that_does_not_suit_the_run_writes_nothing(
    exporting: Exporting, layout: str, pairs: list[tuple[str, str]], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (category, key) in enumerate(pairs):
        data = image(number)
        exporting.rows += [planned(key, category, None), edited(key, f"images/{number}.png", data, category=category)]
        exporting.files[f"images/{number}.png"] = data
    exporting.save()
    assert exporting.export(layout) == 2
    assert problem in capsys.readouterr().err
    assert not exporting.to.exists()


def test_a_file_in_the_place_of_the_folder_and_a_folder_that_cannot_be_written_are_told(
    exporting: Exporting, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.edit("1", image(1))
    exporting.save()
    exporting.to.write_text("")
    assert exporting.export("kris") == 2
    assert "is not a folder" in capsys.readouterr().err
    exporting.to.unlink()
    exporting.to.mkdir()
    (exporting.to / SUBTASK).write_text("")
    assert exporting.export("kris") == 1
    assert "The edits can't be written" in capsys.readouterr().err


def test_a_run_that_is_not_over_says_so(exporting: Exporting, capsys: pytest.CaptureFixture[str]) -> None:
    exporting.edit("1", image(1))
    exporting.save()
    directory = RunDirectory.reopen(exporting.folder / "outputs", None, "latest")
    try:
        assert exporting.export("kris") == 0
    finally:
        directory.close()
    assert "The run is not over" in capsys.readouterr().err
