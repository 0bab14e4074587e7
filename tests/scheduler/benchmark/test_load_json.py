from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from scheduler.benchmark import Benchmark, DataError, PairError, load_benchmark
from tests.scheduler.benchmark.make import base64_of, image_bytes, pair, write_json


def keys(benchmark: Benchmark) -> list[str]:
    return [item.key for item in benchmark.items]


def test_an_object_of_categories_gives_its_pairs_in_the_files_order(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"物理": [pair("b"), pair("a")], "因果": [pair("a")]})
    benchmark = load_benchmark(path)
    assert keys(benchmark) == ["物理/b", "物理/a", "因果/a"]
    assert benchmark.categories == ("物理", "因果")
    assert (benchmark.format, benchmark.path) == ("json", str(path))
    assert (benchmark.bad, benchmark.warnings) == ((), ())


def test_a_list_with_categories_gives_the_same_pairs_as_an_object(tmp_path: Path) -> None:
    by_category = load_benchmark(write_json(tmp_path, {"x": [pair(1), pair(2)], "y": [pair(1)]}, "object.json"))
    flat = [pair(1, category="x"), pair(2, category="x"), pair(1, category="y")]
    as_list = load_benchmark(write_json(tmp_path, flat, "list.json"))
    assert keys(as_list) == keys(by_category)
    assert as_list.sha256 == by_category.sha256
    assert as_list.categories == ("x", "y")


def test_a_pair_has_its_texts_its_hash_and_its_image(tmp_path: Path) -> None:
    image = image_bytes((30, 20), "JPEG")
    fields = pair("p", original_image_b64="data:image/jpeg;base64," + base64_of(image), edit_instruction="变成“蓝色”\n")
    (loaded,) = load_benchmark(write_json(tmp_path, {"c": [fields]})).pairs
    assert (loaded.instruction, loaded.description) == ("变成“蓝色”\n", "a black rectangle")
    assert loaded.source.size == (30, 20)
    assert loaded.sha256 == loaded.source.sha256 == hashlib.sha256(image).hexdigest()
    assert loaded.source.read() == image


def test_the_image_is_found_behind_a_byte_order_mark_and_wide_characters(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    content = json.dumps({"物理": [pair("一"), pair("二")]}, ensure_ascii=False)
    path.write_text(content, encoding="utf-8-sig")
    assert [item.source.read() for item in load_benchmark(path).pairs] == [image_bytes()] * 2


@pytest.mark.parametrize("absent", [..., None, ""])
def test_a_description_may_be_absent(tmp_path: Path, absent: object) -> None:
    (loaded,) = load_benchmark(write_json(tmp_path, {"c": [pair(original_description=absent)]})).pairs
    assert loaded.description == ""


def test_an_id_may_be_called_id_or_be_a_number(tmp_path: Path) -> None:
    content = {"c": [pair(..., id="x"), pair(17), pair(-3), pair("y", id="ignored"), pair(None, id=5)]}
    assert keys(load_benchmark(write_json(tmp_path, content))) == ["c/x", "c/17", "c/-3", "c/y", "c/5"]


def test_a_category_of_a_list_may_be_a_number(tmp_path: Path) -> None:
    assert keys(load_benchmark(write_json(tmp_path, [pair("a", category=2)]))) == ["2/a"]


def test_fields_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    content = {"c": [pair(extra={"deep": [1, {"edit_instruction": "no"}]}, nothing=None, number=1e999)]}
    assert load_benchmark(write_json(tmp_path, content)).pairs[0].instruction == "make it white"


def test_keys_may_be_written_with_escapes(tmp_path: Path) -> None:
    content = json.dumps([pair("a", category="c")]).replace('"pair_id"', r'"pair\u005fid"')
    (tmp_path / "x.json").write_text(content)
    assert keys(load_benchmark(tmp_path / "x.json")) == ["c/a"]


def test_only_the_categories_asked_for_are_loaded_in_the_datas_order(tmp_path: Path) -> None:
    content = {"x": [pair(1)], "y": [pair(1)], "z": [pair(1)]}
    benchmark = load_benchmark(write_json(tmp_path, content), categories=["z", "x"])
    assert keys(benchmark) == ["x/1", "z/1"]
    assert benchmark.categories == ("x", "z")
    assert [item.index for item in benchmark.pairs] == [0, 2]


def test_the_limit_is_per_category_and_counts_bad_pairs(tmp_path: Path) -> None:
    content = [
        pair(1, category="x"),
        pair(1, category="y", edit_instruction=""),
        pair(2, category="x", edit_instruction=...),
        pair(3, category="x"),
        pair(2, category="y"),
        pair(3, category="y"),
    ]
    benchmark = load_benchmark(write_json(tmp_path, content), limit=2)
    assert keys(benchmark) == ["x/1", "y/1", "x/2", "y/2"]
    assert [item.key for item in benchmark.bad] == ["y/1", "x/2"]


def test_a_limit_below_one_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        load_benchmark(tmp_path, limit=0)


def test_a_category_that_the_data_lacks_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"temporal_reasoning": [pair()], "logic": [pair()]})
    with pytest.raises(DataError) as caught:
        load_benchmark(path, categories=["logic", "temporal_resoning"])
    message = str(caught.value)
    assert message.startswith(f"{path}: there is no category 'temporal_resoning'; did you mean 'temporal_reasoning'?")
    assert "it has 'temporal_reasoning', 'logic'" in message


def test_an_empty_category_is_a_warning(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"x": [], "y": [pair()], "z": []})
    assert load_benchmark(path).warnings == ("category 'x' is empty", "category 'z' is empty")
    assert load_benchmark(path).categories == ("y",)
    assert load_benchmark(path, categories=["z", "y"]).warnings == ("category 'z' is empty",)


def test_a_category_that_comes_twice_is_one_category_and_a_warning(tmp_path: Path) -> None:
    one, two = (json.dumps(pair(name)) for name in "ab")
    (tmp_path / "x.json").write_text(f'{{"c": [{one}], "d": [{one}], "c": [{two}, {one}]}}')
    benchmark = load_benchmark(tmp_path / "x.json")
    assert keys(benchmark) == ["c/a", "d/a", "c/b", "c/a#2"]
    assert benchmark.categories == ("c", "d")
    assert benchmark.warnings == ("category 'c' comes more than once; all parts count",)


def test_progress_is_told_after_each_item(tmp_path: Path) -> None:
    seen: list[int] = []
    load_benchmark(write_json(tmp_path, {"x": [pair(1), 3], "y": [pair(1)]}), limit=1, progress=seen.append)
    assert seen == [1, 2, 3]


def test_the_hash_covers_whatever_is_used(tmp_path: Path) -> None:
    def digest(**changes: object) -> str:
        return load_benchmark(write_json(tmp_path, {"c": [pair("q"), pair("p", **changes)]})).sha256

    other_image = base64_of(image_bytes((9, 9)))
    changes: list[dict[str, object]] = [
        {},
        {"edit_instruction": "other"},
        {"edit_instruction": ""},
        {"original_description": "other"},
        {"original_image_b64": other_image},
        {"original_image_b64": "?"},
    ]
    assert len({digest(**change) for change in changes}) == len(changes)
    assert digest(comment="not used") == digest()


def test_a_file_that_changed_since_is_noticed_when_its_image_is_read(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"c": [pair()]})
    (loaded,) = load_benchmark(path).pairs
    changes: dict[str, bytes | None] = {
        "this is another image": json.dumps({"c": [pair(original_image_b64=base64_of(image_bytes((6, 8))))]}).encode(),
        "is not a base64 letter": path.read_bytes().replace(b"[", b"[   "),
        "the base64 text is empty": b"[]",
        "pairs.json cannot be read: No such file": None,
    }
    for reason, content in changes.items():
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(PairError) as caught:
            loaded.source.read()
        assert caught.value.kind == "source_changed"
        assert "has changed since the benchmark was loaded: " in caught.value.message
        assert reason in caught.value.message
