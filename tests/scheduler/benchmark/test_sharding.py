"""Shards: every pair is in exactly one, and they are of one size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.base.shard import Shard
from scheduler.benchmark import BadPair, Benchmark, load_benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.benchmark.sharding import edits_of, shard_of
from scheduler.benchmark.units import EditUnit
from tests.scheduler.benchmark.make import pair, write_json


def benchmark(categories: list[str]) -> Benchmark:
    bad = tuple(BadPair(index, name, str(index), "bad_image", "broken") for index, name in enumerate(categories))
    return Benchmark("data", "json", tuple(dict.fromkeys(categories)), (), bad, (), "hash")


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=60), st.integers(1, 9))
def test_shards_share_no_pair_lose_none_and_differ_by_at_most_one_also_within_each_category(
    categories: list[str], count: int
) -> None:
    whole = benchmark(categories)
    shards = [shard_of(whole, Shard(number, count)) for number in range(1, count + 1)]
    indexes = [item.index for shard in shards for item in shard.items]
    assert sorted(indexes) == list(range(len(categories)))
    for category in (None, *whole.categories):
        sizes = [sum(category in (None, item.category) for item in shard.items) for shard in shards]
        assert max(sizes) - min(sizes) <= 1
    for shard in shards:
        assert [item.index for item in shard.items] == sorted(item.index for item in shard.items)
        assert set(shard.categories) == {item.category for item in shard.items}
        assert list(shard.categories) == [name for name in whole.categories if name in shard.categories]
        assert shard.sha256 == whole.sha256, "by which shards of the same data are known"


def test_a_shard_has_every_nth_pair_of_a_category_good_or_bad(tmp_path: Path) -> None:
    data = {"a": [pair(str(n), **({"edit_instruction": ""} if n == 4 else {})) for n in range(5)], "b": [pair("x")]}
    whole = load_benchmark(write_json(tmp_path, data))
    first, second = (shard_of(whole, Shard(number, 2)) for number in (1, 2))
    assert [item.key for item in first.items] == ["a/0", "a/2", "a/4"]
    assert [item.key for item in first.bad] == ["a/4"]
    assert [item.key for item in second.items] == ["a/1", "a/3", "b/x"]
    assert set(second.by_key) == {"a/1", "a/3", "b/x"}
    assert Counter(len(shard.items) for shard in (first, second)) == {3: 2}


def test_a_shard_has_the_edits_of_its_own_pairs(tmp_path: Path) -> None:
    whole = load_benchmark(write_json(tmp_path, {"a": [pair(str(n)) for n in range(4)]}))
    units = [EditUnit("a", str(n), sample) for n in range(4) for sample in range(2)]
    edits = EditsElsewhere(
        "/there", 8, dict.fromkeys(units[:6], "x.png"), {units[6]: "twice"}, (), "plain", {units[7]: "y"}
    )
    second = edits_of(shard_of(whole, Shard(2, 2)), edits, 2)
    assert list(second.images) == [units[2], units[3]]
    assert (second.asked, list(second.refused), list(second.missing)) == (4, [units[6]], [units[7]])


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "a/b", "1/2/3", " 1/2", "-1/2", "+1/2", "1/1000000000"])
def test_other_texts_are_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match="no shard"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_given() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"
