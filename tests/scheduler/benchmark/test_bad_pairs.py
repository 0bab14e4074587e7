from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.benchmark import BadPair, DataError, load_benchmark, sources
from tests.scheduler.benchmark.make import base64_of, image_bytes, pair, write_bytes, write_json
from tests.scheduler.benchmark.test_images import huge_png


def only_bad(folder: Path, item: object, *, thorough: bool = False) -> BadPair:
    """What becomes of the item behind a good pair."""
    benchmark = load_benchmark(write_json(folder, {"c": [pair("good"), item]}), thorough=thorough)
    assert [good.key for good in benchmark.pairs] == ["c/good"]
    (bad,) = benchmark.bad
    assert bad.index == 1
    return bad


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"edit_instruction": ...}, "no_instruction", "edit_instruction is missing"),
        ({"edit_instruction": None}, "no_instruction", "edit_instruction is missing"),
        ({"edit_instruction": ""}, "no_instruction", "edit_instruction is empty"),
        ({"edit_instruction": " \n\t\u3000"}, "no_instruction", "edit_instruction is empty"),
        ({"edit_instruction": 5}, "bad_field", "edit_instruction is a JSON number; expected text"),
        ({"edit_instruction": ["x"]}, "bad_field", "edit_instruction is a JSON list; expected text"),
        ({"edit_instruction": "x" * 100_001}, "bad_field", "100001 characters; at most 100000"),
        ({"edit_instruction": "\ud800"}, "bad_field", "edit_instruction is not valid UTF-8"),
        ({"original_description": 1.5}, "bad_field", "original_description is a JSON number"),
        ({"original_description": float("nan")}, "bad_field", "original_description is a JSON number"),
        ({"original_image_b64": ...}, "bad_field", "original_image_b64 is missing"),
        ({"original_image_b64": None}, "bad_field", "original_image_b64 is missing"),
        ({"original_image_b64": {"a": 1}}, "bad_field", "original_image_b64 is a JSON object"),
        ({"original_image_b64": ""}, "bad_base64", "empty"),
        ({"original_image_b64": "%%%%"}, "bad_base64", "not a base64 letter"),
        ({"original_image_b64": base64_of(image_bytes())[:-3]}, "bad_base64", "cut off"),
        ({"original_image_b64": base64_of(b"hello")}, "bad_image", "is no image of a known kind"),
        ({"original_image_b64": base64_of(image_bytes()[:-16])}, "bad_image", "broken"),
        ({"original_image_b64": base64_of(huge_png(10_000, 10_000))}, "image_too_large", "100000000 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_pair_keeps_its_id_and_gets_a_kind_and_a_reason(
    tmp_path: Path, changes: dict[str, object], kind: str, message: str
) -> None:
    bad = only_bad(tmp_path, pair("p", **changes))
    assert (bad.key, bad.kind) == ("c/p", kind)
    assert message in bad.message


def test_what_is_known_of_a_bad_pair_is_kept(tmp_path: Path) -> None:
    bad = only_bad(tmp_path, pair(original_image_b64="?"))
    assert (bad.instruction, bad.description) == ("make it white", "a black rectangle")
    assert only_bad(tmp_path, pair(edit_instruction=7)).instruction is None


@pytest.mark.parametrize(
    ("pair_id", "message"),
    [
        (..., "pair_id or id is missing"),
        (None, "pair_id or id is missing"),
        ("", "pair_id is empty"),
        ("../../etc", "'../../etc' holds a slash"),
        ("..", "'..' is the name of a folder"),
        ("a\x1b[31m\n", r"'a\x1b[31m\n' holds a control character"),
        ("x" * 201, "xxx…' has 201 characters; at most 200"),
        ("x" * 500_000, "has 500000 characters; at most 200 are accepted"),
        ("x" * 1_300_000, "pair_id has 1300000 bytes"),
        ("\udc80", r"'\udc80' is not valid UTF-8 text"),
        (True, "pair_id is a JSON true; expected text or an integer"),
        (1.0, "no integer"),
        (1e300, "no integer"),
        (10**250, "no integer of at most 200 digits"),
        ([], "pair_id is a JSON list"),
        ({}, "pair_id is a JSON object"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else str(type(value)),
)
def test_a_bad_id_is_replaced_by_the_position(tmp_path: Path, pair_id: object, message: str) -> None:
    bad = only_bad(tmp_path, pair(pair_id))
    assert (bad.key, bad.kind) == ("c/#2", "bad_id")
    assert message in bad.message
    assert len(bad.message) < 200
    assert bad.message.encode("utf-8").decode().splitlines() == [bad.message]


@pytest.mark.parametrize("item", [None, 5, "text", [], True])
def test_an_item_that_is_no_object_is_a_bad_field(tmp_path: Path, item: object) -> None:
    bad = only_bad(tmp_path, item)
    assert (bad.key, bad.kind) == ("c/#2", "bad_field")
    assert "expected an object" in bad.message


def test_an_object_without_any_field_is_recorded_too(tmp_path: Path) -> None:
    assert only_bad(tmp_path, {}).kind == "bad_id"


def test_a_field_that_is_there_twice_is_a_bad_field(tmp_path: Path) -> None:
    good, twice = json.dumps(pair("good")), json.dumps(pair("p"))[:-1] + ', "edit_instruction": "other"}'
    (bad,) = load_benchmark(write_bytes(tmp_path, f'{{"c": [{good}, {twice}]}}'.encode())).bad
    assert (bad.key, bad.kind, bad.message) == ("c/p", "bad_field", "edit_instruction is there more than once")


@pytest.mark.parametrize("spoilt", [b'"\xff\xfe"', b'"\\x"', b'"\\ud800"'])
def test_a_text_with_broken_encoding_spoils_its_pair_alone(tmp_path: Path, spoilt: bytes) -> None:
    content = json.dumps({"c": [pair("good"), pair("p")]}).encode()
    content = spoilt.join(content.rsplit(b'"make it white"', 1))
    benchmark = load_benchmark(write_bytes(tmp_path, content))
    assert [good.key for good in benchmark.pairs] == ["c/good"]
    assert [(bad.key, bad.kind) for bad in benchmark.bad] == [("c/p", "bad_field")]


def test_of_two_alike_the_first_counts_and_the_second_is_number_two(tmp_path: Path) -> None:
    content = {"c": [pair("a"), pair("a"), pair(1), pair("1"), pair("a")], "d": [pair("a")]}
    benchmark = load_benchmark(write_json(tmp_path, content))
    assert [good.key for good in benchmark.pairs] == ["c/a", "c/1", "d/a"]
    assert [(bad.key, bad.kind) for bad in benchmark.bad] == [
        ("c/a#2", "duplicate_id"),
        ("c/1#2", "duplicate_id"),
        ("c/a#3", "duplicate_id"),
    ]
    assert "already that of the file's item 1, which counts" in benchmark.bad[0].message


def test_the_first_counts_also_if_it_is_bad_itself(tmp_path: Path) -> None:
    benchmark = load_benchmark(write_json(tmp_path, {"c": [pair("a", edit_instruction=""), pair("a")]}))
    assert [(bad.key, bad.kind) for bad in benchmark.bad] == [("c/a", "no_instruction"), ("c/a#2", "duplicate_id")]


def test_an_id_of_the_data_is_never_taken_by_a_stand_in(tmp_path: Path) -> None:
    content = {"c": [pair("a"), pair("a"), pair(""), pair("a#2"), pair("#3")]}
    benchmark = load_benchmark(write_json(tmp_path, content))
    assert [good.key for good in benchmark.pairs] == ["c/a", "c/a#2", "c/#3"]
    assert [bad.key for bad in benchmark.bad] == ["c/a#3", "c/#3#2"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\nb", "x" * 201])
def test_a_bad_category_name_makes_all_its_pairs_bad(tmp_path: Path, name: str) -> None:
    content = {"good": [pair("a")], name: [pair("a"), pair(""), pair("a"), 5]}
    benchmark = load_benchmark(write_json(tmp_path, content))
    assert [good.key for good in benchmark.pairs] == ["good/a"]
    assert [bad.key for bad in benchmark.bad] == ["#2/a", "#2/#2", "#2/a#2", "#2/#4"]
    assert [bad.kind for bad in benchmark.bad] == ["bad_id", "bad_id", "bad_id", "bad_field"]
    assert benchmark.bad[0].message.startswith("category ")


def test_an_item_of_a_list_without_a_category_is_bad(tmp_path: Path) -> None:
    content = [pair("a", category="c"), pair("a"), pair("b", category=""), pair("a", category=None), 5]
    benchmark = load_benchmark(write_json(tmp_path, content))
    assert [bad.key for bad in benchmark.bad] == ["#unknown/a", "#unknown/b", "#unknown/a#2", "#unknown/#5"]
    assert [bad.kind for bad in benchmark.bad] == ["bad_id", "bad_id", "bad_id", "bad_field"]
    assert benchmark.bad[0].message == "category is missing"


def test_items_without_a_category_are_left_out_with_a_warning_where_categories_are_asked_for(tmp_path: Path) -> None:
    content = [pair("a", category="c"), pair("a"), pair("b", category="..")]
    benchmark = load_benchmark(write_json(tmp_path, content), categories=["c"])
    assert benchmark.bad == ()
    assert benchmark.warnings[0].startswith("2 items whose category is missing")


def test_a_string_over_the_limit_is_refused_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_IMAGE_BYTES", 1000)
    bad = only_bad(tmp_path, pair("p", original_image_b64="A" * 1001))
    assert (bad.kind, bad.message) == (
        "image_too_large", "the image is a string of 1001 bytes; at most 1000 are accepted"
    )  # fmt: skip


def test_an_image_that_only_decoding_shows_as_broken_is_found_by_a_thorough_load(tmp_path: Path) -> None:
    jpeg = image_bytes((64, 64), "JPEG")
    item = pair("p", original_image_b64=base64_of(jpeg[: jpeg.index(b"\xff\xda") + 14]))
    assert len(load_benchmark(write_json(tmp_path, {"c": [item]})).pairs) == 1
    assert only_bad(tmp_path, item, thorough=True).kind == "bad_image"


items = st.none() | st.integers() | st.dictionaries(
    st.sampled_from(["pair_id", "id", "category", "edit_instruction", "original_image_b64", "original_description"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a", base64_of(image_bytes())]),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(items, max_size=8) | st.dictionaries(st.text(max_size=3), st.lists(items, max_size=5)))
def test_no_item_is_dropped_and_all_keys_differ(
    tmp_path: Path, content: list[object] | dict[str, list[object]]
) -> None:
    path = write_bytes(tmp_path, json.dumps(content).encode())
    sections: list[list[object]] = list(content.values()) if isinstance(content, dict) else [content]
    try:
        benchmark = load_benchmark(path)
    except DataError:
        wanted = {"edit_instruction", "original_image_b64"}
        assert not any(isinstance(item, dict) and wanted & item.keys() for section in sections for item in section)
        return
    assert [item.index for item in benchmark.items] == list(range(sum(map(len, sections))))
    assert len({item.key for item in benchmark.items}) == len(benchmark.items)
    assert {item.category for item in benchmark.items} == set(benchmark.categories)
