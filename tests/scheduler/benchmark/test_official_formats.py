"""The formats of public benchmarks, in the layouts in which their authors distribute them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.benchmark import Benchmark, DataError, load_benchmark
from tests.scheduler.benchmark.make import image_bytes


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, tuple):
        path.write_bytes(image_bytes(content))
    else:
        lines = content if path.suffix == ".jsonl" else [content]
        path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def sizes(benchmark: Benchmark) -> Iterator[dict[str, tuple[int, int]]]:
    for pair in benchmark.pairs:
        yield {name: image.size for name, image in pair.images.items()}


def reasons(benchmark: Benchmark) -> list[str]:
    return [f"{bad.key}: {bad.kind}: {bad.message}" for bad in benchmark.bad]


def rise(number: int, **changes: Any) -> dict[str, Any]:
    fields = {"index": f"logical_{number}", "category": "logical", "instruction": "Solve it.", "image": "1.png"}
    return {**fields, **changes}


@pytest.mark.parametrize(
    ("name", "format_name"),
    [("data_total.json", "risebench"), ("datav2_total_w_subtask.json", "risebench_v2")],
)
def test_risebench_has_reference_images_and_the_fields_of_its_file_as_facts(
    tmp_path: Path, name: str, format_name: str
) -> None:
    write(tmp_path / "1.png", (8, 8))
    write(tmp_path / "1_ref.png", (9, 8))
    second = {"reference": None, "reference_img": "1_ref.png", "consistency_free": True, "subtask": "Puzzle"}
    write(tmp_path / name, [rise(1, reference="R", reasoning_img=None), rise(2, **second), rise(3, image="no.png")])
    benchmark = load_benchmark(tmp_path)
    assert benchmark.format == format_name
    assert list(sizes(benchmark)) == [{"source": (8, 8)}, {"source": (8, 8), "reference": (9, 8)}]
    first, other = benchmark.pairs
    assert (first.reference, first.details.facts) == ("R", {"reference": "R", "reasoning_img": None})
    assert (other.details.task, other.details.facts["consistency_free"]) == ("Puzzle", True)
    assert benchmark.columns["reference"] == 2
    assert benchmark.columns["reasoning_img"] == 1
    assert len(benchmark.bad) == 1
    assert load_benchmark(tmp_path / name).sha256 == benchmark.sha256


def test_a_folder_with_both_versions_of_risebench_asks_for_one(tmp_path: Path) -> None:
    write(tmp_path / "1.png", (8, 8))
    for name in ("data_total.json", "datav2_total_w_subtask.json"):
        write(tmp_path / name, [rise(1)])
    with pytest.raises(DataError, match="risebench and risebench_v2; set benchmark"):
        load_benchmark(tmp_path)
    assert load_benchmark(tmp_path, format_name="risebench_v2").format == "risebench_v2"


def test_nan_in_a_file_counts_as_null_and_a_field_that_nobody_knows_spoils_nothing(tmp_path: Path) -> None:
    write(tmp_path / "1.png", (8, 8))
    write(tmp_path / "data_total.json", [rise(1, consistency_free=float("nan"), junk="x" * 2_000_000, note=[1])])
    (only,) = load_benchmark(tmp_path).pairs
    assert only.details.facts == {"consistency_free": None, "note": [1]}


def test_a_reference_image_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "1.png", (8, 8))
    write(tmp_path / "data_total.json", [rise(1, reference_img="../1_ref.png"), rise(2, reference_img=4)])
    assert reasons(load_benchmark(tmp_path)) == [
        "logical/logical_1: bad_image: reference: image '../1_ref.png' leads out of the data's folder",
        "logical/logical_2: bad_field: reference: reference_img is a JSON number; expected text",
    ]


@pytest.mark.parametrize("folder", ["", "singleturn", "Benchmark/singleturn"])
@pytest.mark.parametrize("name", ["basic_edit.json", "singleturn.json"])
def test_imgedit_finds_its_images_where_its_archive_puts_them(tmp_path: Path, folder: str, name: str) -> None:
    write(tmp_path / folder / "animal" / "1.png", (8, 8))
    items = {
        "1082": {"id": "animal/1.png", "prompt": "Add a hat.", "edit_type": "add"},
        "7": {"id": "animal/2.png", "prompt": "Remove it.", "edit_type": "remove"},
        "8": {"id": "animal/1.png", "edit_type": "remove"},
        "a/b": {"id": "animal/1.png", "prompt": "x", "edit_type": "remove"},
        "9": [],
    }
    write(tmp_path / name, items)
    benchmark = load_benchmark(tmp_path)
    assert (benchmark.format, [pair.key for pair in benchmark.pairs]) == ("imgedit", ["add/1082"])
    assert benchmark.pairs[0].details.facts == {"id": "animal/1.png", "edit_type": "add"}
    assert f"(looked for in {tmp_path}, {tmp_path / 'singleturn'}, " in benchmark.bad[0].message
    assert [(bad.key, bad.kind) for bad in benchmark.bad] == [
        ("remove/7", "bad_image"), ("remove/8", "no_instruction"), ("remove/#4", "bad_id"), ("#unknown/9", "bad_field")
    ]  # fmt: skip


def test_the_hard_items_of_imgedit_are_one_category(tmp_path: Path) -> None:
    write(tmp_path / "Benchmark" / "hard" / "1.jpg", (8, 8))
    write(tmp_path / "UGE_edit.json", {"1": {"id": "1.jpg", "prompt": "x"}, "2": {"id": "1.jpg", "prompt": "y"}})
    benchmark = load_benchmark(tmp_path)
    assert (benchmark.format, [pair.key for pair in benchmark.pairs]) == ("imgedit_uge", ["uge/1", "uge/2"])


def test_a_key_that_comes_twice_is_a_bad_item(tmp_path: Path) -> None:
    write(tmp_path / "1.jpg", (8, 8))
    item = '{"id": "1.jpg", "prompt": "x"}'
    (tmp_path / "UGE_edit.json").write_text(f'{{"1": {item}, "1": {item}}}')
    assert [item.key for item in load_benchmark(tmp_path).items] == ["uge/1", "uge/1#2"]


def unic(key: str, **changes: Any) -> dict[str, Any]:
    fields = {"key": key, "task": "Reasoning Editing", "subtask": "Relation Change", "cn": "红色", "en": "Make it red."}
    return {**fields, "image_path": "images/a.png", "resolution": [8, 8], **changes}


def test_unicbench_has_two_languages_of_which_english_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", (8, 8))
    write(tmp_path / "test_data.jsonl", [unic("k1", reasoning_points=["p"]), unic("k2", cn="")])
    benchmark = load_benchmark(tmp_path)
    assert [(pair.key, pair.instruction) for pair in benchmark.pairs] == [
        ("Relation Change/k1", "Make it red."), ("Relation Change/k2", "Make it red.")
    ]  # fmt: skip
    details = benchmark.pairs[0].details
    assert (details.language, details.task, details.facts["reasoning_points"]) == ("en", "Reasoning Editing", ["p"])
    chinese = load_benchmark(tmp_path, language="cn")
    assert [pair.instruction for pair in chinese.pairs] == ["红色"]
    assert reasons(chinese) == ["Relation Change/k2: no_instruction: cn is empty"]


def test_lines_that_are_no_json_are_an_error_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "test_data.jsonl").write_text(json.dumps(unic("k1")) + '\n{"key": \n')
    with pytest.raises(DataError, match="this is no JSON that can be read"):
        load_benchmark(tmp_path)


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_mirrors_of_the_hub_are_the_benchmarks_that_they_hold(tmp_path: Path) -> None:
    image = {"bytes": image_bytes((8, 8)), "path": None}
    row = {"key": "1082", "edit_type": "add", "prompt": "Add a hat.", "image": image}
    (only,) = load_benchmark(parquet(tmp_path / "imgedit.parquet", [row])).pairs
    assert (only.key, only.source.size, only.details.facts) == ("add/1082", (8, 8), {"key": "1082", "edit_type": "add"})
    rows = [unic("k1", image=image, reasoning_points=["p"]), unic("k2", image=image, reasoning_points=None)]
    benchmark = load_benchmark(parquet(tmp_path / "unic" / "data" / "train-00000-of-00001.parquet", rows).parents[1])
    assert (benchmark.format, benchmark.bad) == ("unicbench", ())
    points = [pair.details.facts["reasoning_points"] for pair in benchmark.pairs]
    assert points == [["p"], None]


def test_a_snapshot_in_the_hubs_cache_is_read_through_its_links(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--x"
    snapshot = repository / "snapshots" / "abc"
    (snapshot / "images").mkdir(parents=True)
    for name, content in (
        ("images/a.png", (8, 8)),
        ("test_data.jsonl", [unic("k1"), unic("k2", image_path="out.png")]),
    ):
        blob = write(repository / "blobs" / f"{len(name)}.jsonl", content)
        (snapshot / name).symlink_to(blob)
    (snapshot / "out.png").symlink_to(write(tmp_path / "out.png", (8, 8)))
    benchmark = load_benchmark(snapshot)
    assert [pair.pair_id for pair in benchmark.pairs] == ["k1"]
    assert "is a link that leads out of the data's folder" in benchmark.bad[0].message


def kris_folder(root: Path) -> Path:
    for number in (1, 2, 3):
        write(root / "temporal" / f"{number}.jpg", (7 + number, 8))
    items = {
        "1": {"ori_img": ["1.jpg", "2.jpg"], "gt_img": "3.jpg", "ins_en": "x", "explain_en": "Because."},
        "2": {"ori_img": "1.jpg", "gt_img": "", "ins_en": "y", "explain_en": ""},
        "3": {"ori_img": [], "ins_en": "y"},
        "4": {"ori_img": ["1.jpg", "no.jpg"], "ins_en": "y"},
    }
    write(root / "temporal" / "annotation.json", items)
    write(root / "viewpoint" / "annotation.json", {})
    return root


@pytest.mark.parametrize("folder", ["", "KRIS_Bench"])
def test_kris_has_several_sources_and_a_ground_truth(tmp_path: Path, folder: str) -> None:
    kris_folder(tmp_path / folder)
    benchmark = load_benchmark(tmp_path)
    assert benchmark.format == "kris"
    assert list(sizes(benchmark)) == [
        {"source": (8, 8), "source_2": (9, 8), "ground_truth": (10, 8)},
        {"source": (8, 8)},
    ]
    assert benchmark.pairs[0].reference == "Because."
    assert benchmark.pairs[0].details.facts["ori_img"] == ["1.jpg", "2.jpg"]
    assert reasons(benchmark) == [
        "temporal/3: bad_field: ori_img is neither a text nor a list of texts",
        "temporal/4: bad_image: source_2: image 'no.jpg' cannot be found: No such file or directory",
    ]
    assert benchmark.warnings == ("category 'viewpoint' is empty",)


def test_kris_as_one_list_is_the_same_benchmark(tmp_path: Path) -> None:
    kris_folder(tmp_path / "KRIS_Bench")
    expected = load_benchmark(tmp_path / "KRIS_Bench", categories=["temporal"])
    items = json.loads((tmp_path / "KRIS_Bench" / "temporal" / "annotation.json").read_text())
    entries = [{"id": key, "type": "temporal", **item} for key, item in items.items()]
    path = write(tmp_path / "elsewhere" / "final_data.json", entries)
    (tmp_path / "elsewhere" / "KRIS_Bench").symlink_to(tmp_path / "KRIS_Bench")
    assert load_benchmark(path).sha256 == expected.sha256
    assert [pair.pair_id for pair in load_benchmark(tmp_path / "elsewhere").pairs] == ["1", "2"]


def test_a_category_of_kris_that_leads_out_is_a_bad_id(tmp_path: Path) -> None:
    entry = {"id": "1", "type": "../up", "ori_img": "1.jpg", "ins_en": "x"}
    (bad,) = load_benchmark(write(tmp_path / "final_data.json", [entry])).bad
    assert bad.kind == "bad_id"
