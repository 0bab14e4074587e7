from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scheduler.benchmark import Benchmark, DataError, load, load_benchmark
from scheduler.benchmark.formats import Category, Format, Item, PairError, image_file
from scheduler.benchmark.pairs import NO_DETAILS, UnknownPartError
from tests.scheduler.benchmark.make import image_bytes, pair, write_json
from workers.models.plugins import Registry

ENTRIES: list[Category | Item] = []
LISTED = Format(
    "listed", "for a test", lambda path: iter(ENTRIES), languages=("en", "cn"), subsets=("full", "intersection")
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three images, read by a format that gives ENTRIES."""
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        (tmp_path / name).write_bytes(image_bytes((8 + number, 8)))
    (tmp_path / "broken.png").write_bytes(b"none")
    monkeypatch.setattr(load, "FORMATS", Registry("warmbench.formats", Format, {"listed": f"{__name__}:LISTED"}))
    return tmp_path


def loaded(folder: Path, *entries: Item, **selection: Any) -> Benchmark:
    ENTRIES[:] = entries
    return load_benchmark(folder, format_name="listed", **selection)


def item(folder: Path, pair_id: str = "1", instruction: Any = "x", images: Mapping[str, str] = {}, **rest: Any) -> Item:
    opened = {name: image_file(folder, file) for name, file in images.items()}
    return Item(pair_id, "c", instruction, image_file(folder, "a.png"), images=opened, **rest)


def reason(folder: Path, **changes: Any) -> str:
    (bad,) = loaded(folder, item(folder, "good"), item(folder, **changes)).bad
    return f"{bad.kind}: {bad.message}"


def test_a_pair_has_all_that_its_item_has(folder: Path) -> None:
    facts = {"cost": 1.5, "points": ["a", {"b": None}], "flag": True}
    images = {"source_2": "b.png", "ground_truth": "c.png"}
    benchmark = loaded(folder, item(folder, images=images, task="t", language="en", subsets=("full",), facts=facts))
    (only,) = benchmark.pairs
    assert {name: image.size for name, image in only.images.items()} == {
        "source": (8, 8), "source_2": (9, 8), "ground_truth": (10, 8)
    }  # fmt: skip
    assert [image.size for image in only.sources] == [(8, 8), (9, 8)]
    details = only.details
    assert (details.task, details.language, details.subsets, details.facts) == ("t", "en", ("full",), facts)
    assert details.images["ground_truth"].read() == image_bytes((10, 8))


def test_a_further_image_that_is_bad_makes_the_pair_bad_and_is_named(folder: Path) -> None:
    message = reason(folder, images={"source_2": "b.png", "reference": "broken.png"})
    assert message.startswith("bad_image: reference: 4 bytes that begin with b'none' is no image")
    assert reason(folder, images={"mask": "../a.png"}).startswith("bad_image: mask: image '../a.png' leads out")
    many = {f"source_{number}": "a.png" for number in range(2, 18)}
    assert reason(folder, images=many) == "bad_field: the item has 17 images; at most 16 are accepted"


def test_images_of_items_that_are_not_selected_stay_closed(folder: Path) -> None:
    def never(*, thorough: bool) -> Any:
        raise AssertionError("opened")

    other = Item("2", "other", "x", never, images={"mask": never}, facts={"seen": 1})
    benchmark = loaded(folder, item(folder), other, categories=["c"])
    assert len(benchmark.items) == 1


@pytest.mark.parametrize("names", ["image", "source_1", "../x", "reference_1", "source"])
def test_an_image_of_an_unknown_name_is_an_error_of_the_format(folder: Path, names: str) -> None:
    with pytest.raises(ValueError, match="see Details for the names"):
        loaded(folder, item(folder, images={names: "a.png"}))


def test_the_language_that_was_asked_for_is_chosen_else_the_first(folder: Path) -> None:
    entries = (
        item(folder, "1", {"en": "blue", "cn": "蓝色"}),
        item(folder, "2", "red", language="en"),
        item(folder, "3", "红色", language="cn"),
    )

    def chosen(**selection: str) -> list[tuple[str, str, str | None]]:
        pairs = loaded(folder, *entries, **selection).pairs
        return [(pair.pair_id, pair.instruction, pair.details.language) for pair in pairs]

    assert chosen() == [("1", "blue", "en"), ("2", "red", "en"), ("3", "红色", "cn")]
    assert chosen(language="en") == [("1", "blue", "en"), ("2", "red", "en")]
    assert chosen(language="cn") == [("1", "蓝色", "cn"), ("3", "红色", "cn")]


def test_an_instruction_that_lacks_the_language_is_missing_in_it(folder: Path) -> None:
    ENTRIES[:] = [item(folder, "1", {"en": "x", "cn": "y"}), item(folder, "2", {"en": "x"}), item(folder, "3", {})]
    bad = load_benchmark(folder, format_name="listed", language="cn").bad
    assert [entry.message for entry in bad] == ["instruction in cn is missing"] * 2
    assert {entry.kind for entry in bad} == {"no_instruction"}


def test_a_subset_and_the_limit_select_together(folder: Path) -> None:
    entries = [item(folder, str(number), subsets=("full", "intersection")[: 1 + number % 2]) for number in range(8)]
    assert [each.pair_id for each in loaded(folder, *entries, subset="intersection", limit=2).pairs] == ["1", "3"]
    assert len(loaded(folder, *entries, subset="full").pairs) == 8
    with pytest.raises(DataError, match="there is no pair in it in 'c' with instructions in cn of the subset full"):
        loaded(folder, item(folder, language="en"), categories=["c"], language="cn", subset="full")


@pytest.mark.parametrize(("key", "asked", "has"), [("language", "fr", "en, cn"), ("subset", "half", "full")])
def test_a_part_that_the_format_lacks_is_refused_with_those_that_it_has(
    folder: Path, key: str, asked: str, has: str
) -> None:
    with pytest.raises(UnknownPartError, match=f"the format listed has no {key} '{asked}'; it has {has}") as caught:
        loaded(folder, item(folder), **{key: asked})
    assert [*caught.value.problems] == [key]


def test_a_format_without_languages_says_to_leave_the_key_out(tmp_path: Path) -> None:
    with pytest.raises(UnknownPartError, match="the format json has no language 'en'; leave it out"):
        load_benchmark(write_json(tmp_path, {"c": [pair()]}), language="en")


def test_columns_count_the_whole_file(folder: Path) -> None:
    entries = [
        item(folder, "1", facts={"a": 1}),
        item(folder, "2", facts={"a": None, "b": 2}),
        item(folder, "3", ""),
        item(folder, "3", "", facts={"b": 1}),
    ]
    benchmark = loaded(folder, *entries, limit=1)
    assert (benchmark.columns, benchmark.items_in_file) == ({"a": 2, "b": 2}, 4)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"x": b"1"}, "'x' is of the type bytes; expected a value of JSON"),
        ({"x": [{"y": {1: 2}}]}, "'x' is of the type dict; expected a value of JSON"),
        ({"x": 2**63}, "'x' is a number that is too large"),
        ({"x": math.inf}, "'x' is a number that is too large"),
        ({"x": "\ud800"}, "'x' is not valid UTF-8 text"),
        ({"x": "a" * 100_001}, "'x' has 100001 characters; at most 100000 are accepted"),
        ({"x": ["a" * 90_000] * 12}, "the item's fields have 1080055 characters; at most 1000000 are accepted"),
        ({"\ud800": 1}, "the name of the field '\\ud800' is not valid UTF-8 text"),
        ({"x": PairError("bad_field", "x is broken")}, "x is broken"),
    ],
)
def test_facts_that_json_cannot_hold_make_a_bad_pair(folder: Path, facts: Mapping[str, Any], message: str) -> None:
    assert reason(folder, facts=facts) == f"bad_field: {message}"


def test_values_nested_too_deep_are_refused_and_nan_is_null(folder: Path) -> None:
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    assert "nested more than 20 deep" in reason(folder, facts={"x": deep})
    assert loaded(folder, item(folder, facts={"x": math.nan})).pairs[0].details.facts == {"x": None}


def test_the_hash_covers_details_and_nothing_else_where_there_are_none(folder: Path) -> None:
    def digest(**changes: Any) -> str:
        return loaded(folder, item(folder, **changes)).sha256

    plain = digest()
    (only,) = loaded(folder, item(folder)).pairs
    assert only.details is NO_DETAILS
    row = ["c", "1", "x", "", [only.sha256, None]]  # as runs before there were details have recorded it
    assert plain == hashlib.sha256(json.dumps(row).encode() + b"\n").hexdigest()
    changes: list[dict[str, Any]] = [
        {"images": {"mask": "b.png"}}, {"images": {"mask": "c.png"}}, {"images": {"reference": "b.png"}},
        {"language": "en"}, {"task": "t"}, {"subsets": ("full",)}, {"facts": {"a": 1}}, {"facts": {"a": 2}},
    ]  # fmt: skip
    assert len({plain, *(digest(**change) for change in changes)}) == 1 + len(changes)


def test_the_kinds_of_values_in_a_column_are_those_of_the_whole_file(folder: Path) -> None:
    values = (None, True, 1, 0.5, float("nan"), "x", [1], {"y": 1})
    entries = [item(folder, str(number), facts={"a": value}) for number, value in enumerate(values)]
    kinds = ("boolean", "nan", "null", "number", "other", "text")
    assert loaded(folder, *entries, limit=1).kinds == {"a": kinds}
