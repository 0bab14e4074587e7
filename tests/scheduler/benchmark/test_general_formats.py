"""Data whose fields have any names: JSON Lines, JSON, image folders, tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.benchmark import Benchmark, DataError, collect, load_benchmark
from scheduler.benchmark.formats.declaration import FieldMap
from scheduler.benchmark.pairs import UnknownPartError
from tests.scheduler.benchmark.make import base64_of, image_bytes, pair, write_json

Fields = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three images, beside a secret."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        (data / "images" / name).write_bytes(image_bytes((8 + number, 8)))
    (tmp_path / "secret.png").write_bytes(image_bytes())
    return data


def write(folder: Path, *items: object, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def item(number: int, **changes: object) -> Fields:
    return {"id": number, "instruction": "Make it blue.", "image": "images/a.png", **changes}


def keys(benchmark: Benchmark) -> list[str]:
    return [entry.key for entry in benchmark.items]


def test_lines_with_the_usual_names_need_no_config(folder: Path) -> None:
    benchmark = load_benchmark(write(folder, item(1, category="c"), item(2, category="d")))
    assert (benchmark.format, keys(benchmark)) == ("jsonl", ["c/1", "d/2"])
    assert benchmark.pairs[0].source.read() == image_bytes((8, 8))


def test_without_an_id_and_a_category_pairs_are_numbered_in_one_category(folder: Path) -> None:
    lines = ({"prompt": "x", "source_image": "images/b.png"}, {"prompt": "y", "source_image": "images/c.png"})
    assert keys(load_benchmark(write(folder, *lines))) == ["all/0", "all/1"]


def test_an_item_that_lacks_the_id_of_the_others_is_bad(folder: Path) -> None:
    (bad,) = load_benchmark(write(folder, item(1), {"instruction": "x", "image": "images/a.png"})).bad
    assert (bad.kind, bad.message) == ("bad_id", "id is missing")


def test_fields_name_every_part_of_an_item(folder: Path) -> None:
    line = {
        "nr": 7, "ask": "Merge them.", "first": "images/a.png", "more": "images/b.png", "third": None,
        "goal": "images/c.png", "kind": "add", "topic": "t", "says": "A hat.", "shows": "A cat.", "cost": 3,
    }  # fmt: skip
    fields = FieldMap(
        id="nr", instruction="ask", image="first", sources=("more", "third"), ground_truth="goal", task="kind",
        category="topic", reference="says", description="shows", facts=("cost",),
    )  # fmt: skip
    (only,) = load_benchmark(write(folder, {**line, "third": "images/c.png", "nr": 8}, line), fields=fields).pairs[1:]
    assert (only.key, only.instruction, only.description, only.reference) == (
        "t/7", "Merge them.", "A cat.", "A hat."
    )  # fmt: skip
    assert {name: image.size[0] for name, image in only.images.items()} == {
        "source": 8, "source_2": 9, "ground_truth": 10
    }  # fmt: skip
    assert (only.details.task, only.details.facts) == ("add", {"cost": 3})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (FieldMap(mask="msk"), "no item has the field 'msk' of benchmark.fields.mask; there are 'id', 'instruction'"),
        (FieldMap(sources=("image", "x")), "no item has the field 'x' of benchmark.fields.sources"),
        (FieldMap(id="x"), "no item has the field 'x' of benchmark.fields.id"),
    ],
)
def test_a_field_that_no_item_has_is_refused(folder: Path, fields: FieldMap, error: str) -> None:
    with pytest.raises(DataError, match=error):
        load_benchmark(write(folder, item(1), item(2)), fields=fields)


def test_data_without_a_usual_name_asks_for_it(folder: Path) -> None:
    with pytest.raises(DataError, match="but 'text', 'image'; set benchmark"):
        load_benchmark(write(folder, {"text": "x", "image": "images/a.png"}))


def test_a_format_with_fields_of_its_own_takes_no_others(folder: Path) -> None:
    path = write_json(folder, {"c": [pair()]})
    with pytest.raises(UnknownPartError, match="data of the format json has fields of its own"):
        load_benchmark(path, format_name="json", fields=FieldMap(id="x"))


def test_images_may_be_base64_or_paths_in_any_shape_of_json(folder: Path) -> None:
    texts = [base64_of(image_bytes((8, 8))), "data:image/png;base64," + base64_of(image_bytes((8, 8))), "images/a.png"]
    texts.append(base64_of(image_bytes((300, 300), "BMP")))
    items = [item(number, image=text) for number, text in enumerate(texts)]
    expected = load_benchmark(write(folder, *items))
    assert (len(expected.pairs), expected.bad) == (4, ())
    shapes = {"list.json": items, "object.json": {entry["id"]: entry for entry in items}}
    for name, content in shapes.items():
        path = write_json(folder, content, name)
        assert load_benchmark(path, format_name="jsonl").sha256 == expected.sha256
        assert load_benchmark(path, fields=FieldMap(image="image")).format == "jsonl"


def test_a_list_of_paths_is_several_sources(folder: Path) -> None:
    lists: tuple[list[object], ...] = (
        ["images/a.png", "images/b.png"],
        ["images/a.png", 3],
        ["images/a.png", "../secret.png"],
        [],
    )
    benchmark = load_benchmark(write(folder, *(item(number, image=paths) for number, paths in enumerate(lists))))
    assert [image.size[0] for image in benchmark.pairs[0].sources] == [8, 9]
    assert [bad.kind for bad in benchmark.bad] == ["bad_field", "bad_image", "bad_field"]


def test_the_key_of_an_object_is_the_id_where_items_have_none(folder: Path) -> None:
    content = {"x": {"prompt": "p", "image": "images/a.png"}, "y": {"prompt": "p", "image": "images/a.png"}}
    benchmark = load_benchmark(write_json(folder, content, "object.json"), format_name="jsonl")
    assert keys(benchmark) == ["all/x", "all/y"]


def test_paths_that_lead_out_are_bad_images(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    paths = ("../secret.png", "/etc/passwd", "link.png", "images", "x" * 5000)
    benchmark = load_benchmark(write(folder, item(0), *(item(n, image=path) for n, path in enumerate(paths, 1))))
    assert [bad.kind for bad in benchmark.bad] == ["bad_image"] * 5


def test_an_image_folder_of_the_hub_is_recognized(folder: Path) -> None:
    lines = [{"file_name": f"images/{name}.png", "prompt": "x"} for name in "abc"]
    write(folder, *lines, name="metadata.jsonl")
    assert (load_benchmark(folder).format, keys(load_benchmark(folder))) == ("imagefolder", ["all/0", "all/1", "all/2"])
    assert load_benchmark(folder / "metadata.jsonl").sha256 == load_benchmark(folder).sha256


def test_one_line_more_than_is_accepted_is_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_PAIRS", 30)
    path = write(folder, *(item(number, image="no.png") for number in range(31)))
    with pytest.raises(DataError, match="there are more than 30 pairs"):
        load_benchmark(path)
    assert len(load_benchmark(path, limit=30).items) == 30


def parquet(folder: Path, rows: list[Fields], name: str = "test-00000-of-00001.parquet") -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / name
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_tables_have_images_embedded_or_by_path_and_fields_of_any_name(folder: Path) -> None:
    embedded = {"bytes": image_bytes((30, 8)), "path": None}
    rows: list[Fields] = [
        {"instruction": "x", "image": embedded, "img": image_bytes((31, 8)), "file": "images/b.png", "turns": [1.5]},
        {
            "instruction": "y",
            "image": {"bytes": None, "path": "images/c.png"},
            "img": None,
            "file": "no",
            "turns": None,
        },
    ]
    path = parquet(folder, rows)
    benchmark = load_benchmark(folder)
    assert (benchmark.format, keys(benchmark)) == ("parquet", ["all/0", "all/1"])
    assert [entry.source.size[0] for entry in benchmark.pairs] == [30, 10]
    several = [{"bytes": image_bytes((width, 8)), "path": None} for width in (20, 21, 22)]
    lists: list[Fields] = [
        {"prompt": "x", "image": several[:1], "more": [several[1]["bytes"]]},
        {"prompt": "x", "image": several, "more": []},
        {"prompt": "x", "image": [], "more": None},
    ]
    benchmark = load_benchmark(parquet(folder, lists, "lists.parquet"), fields=FieldMap(sources=("more",)))
    assert [[image.size[0] for image in entry.images.values()] for entry in benchmark.pairs] == [[20, 21], [20, 21, 22]]
    assert [bad.pair_id for bad in benchmark.bad] == ["2"]
    fields = FieldMap(image="img", sources=("file",), facts=("turns",))
    benchmark = load_benchmark(path, fields=fields)
    assert benchmark.pairs[0].details.images["source_2"].size == (9, 8)
    assert benchmark.pairs[0].details.facts == {"turns": [1.5]}
    assert benchmark.bad[0].message == "img is missing"
