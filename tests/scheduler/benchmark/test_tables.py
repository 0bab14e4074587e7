"""Arrow and Parquet files: what the images of a table are, and what a broken table says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scheduler.benchmark import DataError, PairError, load_benchmark
from scheduler.benchmark.records import table_records
from tests.scheduler.benchmark.make import image_bytes, pair, write_json

Row = dict[str, Any]
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("WARMBENCH_CACHE", str(folder))
    return folder / "tables"


def gedit(key: str, language: str = "en", **changes: Any) -> Row:
    image = {"bytes": image_bytes((8 + len(key), 8)), "path": f"{key}.png"}
    fields = {
        "key": key, "task_type": "text_change", "instruction": f"{key} in {language}", "instruction_language": language,
        "input_image": image, "input_image_raw": {"bytes": image_bytes((99, 8)), "path": None},
        "Intersection_exist": key != "b",
    }  # fmt: skip
    return {**fields, **changes}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes rows as a stream of Arrow batches, as an Arrow file or as Parquet, two rows a batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(rows: list[Row], name: str = "data.arrow", kind: str = "stream", **options: Any) -> Path:
        table = pa.Table.from_pylist(rows)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "parquet":
            pq.write_table(table, path, row_group_size=2, **options)
            return path
        new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with path.open("wb") as sink, new(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table, max_chunksize=2)
        return path

    return write


ROWS = [gedit("a"), gedit("a", "cn"), gedit("bb"), gedit("b", "cn"), gedit("cc")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("stream", {}),
        ("file", {}),
        ("stream", {"compression": "zstd"}),
        ("parquet", {}),
        ("parquet", {"compression": "zstd", "use_dictionary": True}),
    ],
)
def test_all_kinds_of_files_give_the_same_benchmark(
    save: Save, kind: str, options: dict[str, Any], cache: Path
) -> None:
    path = save(ROWS, kind=kind, **options)
    benchmark = load_benchmark(path)
    assert (benchmark.format, benchmark.bad) == ("gedit", ())
    assert [pair.source.read() for pair in benchmark.pairs] == [row["input_image"]["bytes"] for row in ROWS]
    copied = kind == "parquet" or bool(options)
    assert len(list(cache.glob("*.arrow"))) == copied
    assert not list(cache.glob("*.unfinished"))


def test_a_key_in_both_languages_is_two_pairs_under_any_selection(save: Save) -> None:
    path = save(ROWS)
    benchmark = load_benchmark(path)
    assert [pair.pair_id for pair in benchmark.pairs] == ["a-en", "a-cn", "bb-en", "b-cn", "cc-en"]
    assert [pair.pair_id for pair in load_benchmark(path, language="cn").pairs] == ["a-cn", "b-cn"]
    intersection = load_benchmark(path, language="cn", subset="intersection").pairs
    assert [(pair.pair_id, pair.details.subsets) for pair in intersection] == [("a-cn", ("full", "intersection"))]
    assert intersection[0].details.facts["key"] == "a"
    assert [pair.pair_id for pair in load_benchmark(save(ROWS[1:], "once.arrow")).pairs][:2] == ["a", "bb"]


def test_a_data_set_as_the_library_saves_it_is_read_shard_by_shard(save: Save, tmp_path: Path) -> None:
    folder = tmp_path / "saved" / "train"
    save(ROWS[:3], "saved/train/data-00000-of-00002.arrow")
    save(ROWS[3:], "saved/train/data-00001-of-00002.arrow")
    save([gedit("cached")], "saved/train/cache-1234.arrow")
    files = [{"filename": f"data-0000{number}-of-00002.arrow"} for number in (0, 1)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    (folder.parent / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    expected = load_benchmark(save(ROWS, "whole.arrow"))
    for path in (folder, folder.parent):
        benchmark = load_benchmark(path)
        assert (len(benchmark.pairs), benchmark.sha256) == (5, expected.sha256)
    (folder / "state.json").unlink()
    assert load_benchmark(folder).sha256 == expected.sha256
    (folder / "data-00001-of-00002.arrow").unlink()
    assert "1 of its 2 files are there; missing are data-00001-of-00002" in refused(folder)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"_data_files": [{"filename": "../x.arrow"}]}, "names '../x.arrow', which is no file of this folder"),
        ({"_data_files": [{"filename": "x.arrow"}]}, "state.json names 'x.arrow', which is not there"),
        ({"_data_files": 3}, "is not as the datasets library writes it"),
        ([], "is not as the datasets library writes it"),
    ],
)
def test_a_state_that_names_other_files_is_refused(save: Save, tmp_path: Path, state: Any, error: str) -> None:
    save(ROWS, "saved/data.arrow")
    (tmp_path / "saved" / "state.json").write_text(json.dumps(state))
    assert error in refused(tmp_path / "saved")


def test_several_splits_ask_for_one(save: Save, tmp_path: Path) -> None:
    save(ROWS, "hub/data/test-00000-of-00001.parquet", "parquet")
    assert len(load_benchmark(tmp_path / "hub").pairs) == 5
    save(ROWS, "hub/data/train-00000-of-00001.parquet", "parquet")
    assert "it has 2 tables ('data/test', 'data/train'); name the file, or the folder" in refused(tmp_path / "hub")


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_benchmark(path, format_name="gedit")
    return str(caught.value).removeprefix(f"{path}: ")


def test_bad_rows_are_bad_pairs(save: Save) -> None:
    rows = [
        gedit("good"),
        gedit("good"),
        gedit("c", "fr"),
        gedit("d", instruction=None),
        gedit("e", input_image={"bytes": b"none", "path": None}),
        gedit("f", input_image=None),
        gedit("g", input_image={"bytes": None, "path": "g.png"}),
        gedit("h/", instruction="x" * 100_001),
    ]
    benchmark = load_benchmark(save(rows))
    assert [pair.pair_id for pair in benchmark.pairs] == ["good-en"]
    assert [(bad.pair_id, bad.kind) for bad in benchmark.bad] == [
        ("good-en#2", "duplicate_id"),
        ("c", "bad_field"),
        ("d-en", "no_instruction"),
        ("e-en", "bad_image"),
        ("f-en", "bad_field"),
        ("g-en", "bad_image"),
        ("#8", "bad_id"),
    ]
    reasons = {bad.pair_id: bad.message for bad in benchmark.bad}
    assert reasons["c"] == "instruction_language is not one of en, cn"
    assert reasons["f-en"] == "input_image is missing"
    assert reasons["g-en"] == "image 'g.png' cannot be found"


@pytest.mark.parametrize("member", [True, 1])
def test_an_item_of_the_intersection_is_one_whatever_type_says_so(save: Save, member: Any) -> None:
    rows = [gedit("a", Intersection_exist=member), gedit("b", Intersection_exist=type(member)(0))]
    in_it, other = load_benchmark(save(rows)).pairs
    assert in_it.details.subsets == ("full", "intersection")
    assert other.details.subsets == ("full",)


@pytest.mark.parametrize("member", ["True", None, 2])
def test_what_does_not_say_whether_an_item_is_of_the_intersection_is_bad(save: Save, member: Any) -> None:
    (bad,) = load_benchmark(save([gedit("a", Intersection_exist=member)])).bad
    assert (bad.kind, bad.message) == ("bad_field", "Intersection_exist is not one of true, false")


def test_columns_of_other_types_are_bad_fields(save: Save) -> None:
    (bad,) = load_benchmark(save([{**gedit("a"), "key": 1.5}])).bad
    assert (bad.pair_id, bad.kind) == ("#1", "bad_id")
    (bad,) = load_benchmark(save([gedit("a", instruction=b"x", input_image=3)], "other.arrow")).bad
    assert (bad.kind, bad.message) == ("bad_field", "instruction is of the type binary; expected a value of JSON")


@pytest.mark.parametrize("kind", ["stream", "file", "parquet"])
@pytest.mark.parametrize("damage", ["cut", "middle", "garbage", "empty", "start"])
def test_a_broken_file_is_an_error_with_its_name_or_bad_pairs(save: Save, kind: str, damage: str) -> None:
    path = save(ROWS, f"data.{'parquet' if kind == 'parquet' else 'arrow'}", kind)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "middle":
        for place in range(200, len(content) - 200, 97):
            content[place] ^= 0xFF
    elif damage == "garbage":
        content = content[:8] + bytes(range(256)) * 9
    elif damage == "start":
        content[:4] = b"\xff\xff\xff\x7f"
    path.write_bytes(b"" if damage == "empty" else content)
    problems: list[str] = []
    try:
        problems += [bad.message for bad in load_benchmark(path, format_name="gedit").bad]
    except DataError as error:
        problems.append(str(error))
    assert problems
    assert all(problems)


def test_no_image_is_copied_while_rows_of_a_large_batch_are_read(save: Save) -> None:
    import pyarrow as pa

    content = image_bytes((900, 900), "BMP")
    image = {"bytes": content, "path": None}
    path = save([gedit(str(number), input_image=image, input_image_raw=image) for number in range(4)])
    before, most = pa.total_allocated_bytes(), 0
    for row in table_records.read_table(path):
        assert row.embedded_image("input_image") is not None
        assert not row.is_null("input_image_raw")
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < len(content)


def test_a_file_that_was_replaced_since_is_noticed(save: Save) -> None:
    (only,) = load_benchmark(save([gedit("a")])).pairs
    save([gedit("a", input_image={"bytes": image_bytes((9, 9)), "path": None})])
    with pytest.raises(PairError, match="has changed since"):
        only.source.read()


def test_the_copy_of_a_file_is_made_once_and_again_when_the_file_is_another(save: Save, cache: Path) -> None:
    path = save(ROWS, "data.parquet", "parquet")
    first = load_benchmark(path)
    (copy,) = cache.glob("*.arrow")
    before = copy.stat().st_mtime_ns
    assert load_benchmark(path).sha256 == first.sha256
    assert copy.stat().st_mtime_ns == before
    moved = path.rename(path.with_name("moved.parquet"))
    assert load_benchmark(moved).pairs == first.pairs  # by its content
    save(ROWS[:3], "data.parquet", "parquet")
    assert len(load_benchmark(path).pairs) == 3
    assert len([*cache.glob("*.arrow")]) == 2
    assert first.pairs[0].source.read() == ROWS[0]["input_image"]["bytes"]


def test_a_copy_that_finds_no_room_leaves_nothing_and_says_where_to_put_it(
    save: Save, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(ROWS, "data.parquet", "parquet")
    nothing = type("Usage", (), {"free": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: nothing)
    assert "set WARMBENCH_CACHE to a folder with more room" in refused(path)
    assert not [*cache.glob("*.arrow*")]


def test_runs_that_start_together_make_one_copy(save: Save, cache: Path) -> None:
    path = save(ROWS * 20, "data.parquet", "parquet")
    with ThreadPoolExecutor(4) as pool:
        loaded = [pool.submit(load_benchmark, path) for _ in range(4)]
        assert len({benchmark.result().sha256 for benchmark in loaded}) == 1
    assert len([*cache.glob("*.arrow")]) == 1
    assert not [*cache.glob("*.unfinished")]


def test_data_that_is_no_table_is_loaded_without_pyarrow(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"c": [pair()]})
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from scheduler.benchmark import load_benchmark\n"
        f"assert load_benchmark(Path({str(path)!r})).pairs\n"
        "assert 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_pyarrow_the_command_that_installs_it_is_named(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(ROWS)
    monkeypatch.setattr(table_records, "find_spec", lambda name: None)
    assert refused(path).startswith("reading it needs pyarrow, which is not installed: run `")
    assert "[parquet]" in refused(path)


def test_without_pyarrow_a_language_is_not_what_is_wrong(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save([gedit("a")])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="reading it needs pyarrow, which is not installed: run `"):
        load_benchmark(path, language="en")
