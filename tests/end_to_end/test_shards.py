"""Shards: runs of parts of a benchmark, and the one run that they are together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import User, encoded, pair, picture

_OF_THE_RUN = {"worker", "device", "round", "batch", "edit_device_seconds", "batch_device_seconds"}
"""Which worker did it, in which round, and how long it took: no result of the benchmark."""


def results(report: dict[str, Any]) -> Any:
    """The report without times, places and provenance."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(inner) for name, inner in value.items() if name not in _OF_THE_RUN}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return without({name: part for name, part in report.items() if name not in ("performance", "provenance")})


def mixed_benchmark(path: Path) -> Path:
    """A list whose categories alternate, with a pair that is bad."""
    pairs = []
    for number in range(9):
        image = picture((40 + number, 32))
        item = pair(number, encoded(image), "" if number == 4 else None)
        pairs.append({**item, "category": ("物理", "spatial", "spatial", "time")[number % 4]})
    path.write_text(json.dumps(pairs, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.warm
def test_the_report_of_merged_shards_is_that_of_the_whole_run(user: User, tmp_path: Path) -> None:
    data = mixed_benchmark(tmp_path / "data.json")
    config = user.simulated(data, editor={"faults": {"error": ["spatial/5"]}}, scheduler={"max_attempts": 1})
    assert user.run_config(config).code == 3
    whole, whole_rows = user.report(), user.rows("planned")
    assert (whole["overall"]["num_failed"], whole["overall"]["num_pairs"]) == (2, 9)

    shards = []
    for number in (1, 2, 3):
        user.run_config(config, "--shard", f"{number}/3")
        shards.append(user.run_folder())
        report = user.report()
        assert report["overall"]["num_pairs"] == 3
        assert report["notes"][0].startswith(f"This is shard {number}/3 of the benchmark")
    merged = user.check("merge", *reversed(shards), "--output-dir", tmp_path / "one")
    assert merged.code == 3, merged.output
    user.output = tmp_path / "one"
    assert results(user.report()) == results(whole)
    assert user.rows("planned") == whole_rows, "in the order of the data, and without what only shards have"
    provenance = user.report()["provenance"]
    assert provenance["shard"] is None
    assert [part["shard"]["number"] for part in provenance["shards"]] == [1, 2, 3]
    assert len(list((user.run_folder() / "images").rglob("*.png"))) == 7
    assert len(list((user.run_folder() / "thumbnails").rglob("*.jpg"))) == 7 * 2 + 2

    resumed = user.run_config(config, "--resume", "latest", "--output-dir", user.output)
    assert "Reused: 7 of 8 edits, 7 of 8 scores" in resumed.output, "a merged run is a run: what failed is done again"


@pytest.mark.slow
@pytest.mark.warm
def test_what_are_not_all_shards_of_one_run_is_refused_with_every_reason(user: User, tmp_path: Path) -> None:
    config = user.simulated(mixed_benchmark(tmp_path / "data.json"))
    other = user.simulated(tmp_path / "data.json", editor={"num_inference_steps": 7}, name="other")
    folders = {}
    for name, words in {"1": ("1/3",), "2": ("2/3",), "other": ("2/3", "--limit", "2")}.items():
        user.run_config(other if name == "other" else config, "--shard", *words)
        folders[name] = user.run_folder()
    for command in (("run", "--config", config), ("run", "--config", config, "--shard", "2/3")):
        refused = user.check(*command, "--resume", folders["1"].name)
        assert (refused.code, refused.output) == (
            2, f"run {folders['1'].name} is shard 1/3: resume it with --shard 1/3\n"
        )  # fmt: skip

    def merge(*names: str) -> tuple[int, str]:
        result = user.check("merge", *(folders[name] for name in names), "--output-dir", tmp_path / "one")
        return result.code, result.output

    code, output = merge("1", "2")
    assert (code, "shard 3/3 is missing: name its run, or give --allow-missing" in output) == (2, True)
    code, output = merge("1", "1")
    assert (code, "are both shard 1/3" in output) == (2, True)
    code, output = merge("1", "other")
    assert code == 2
    assert f"{folders['other']} differs from {folders['1']}: editor.parameters.num_inference_steps" in output
    assert f"{folders['other']} differs from {folders['1']}: data " in output
    assert not (tmp_path / "one").exists()
    merged = user.check("merge", folders["1"], folders["2"], "--allow-missing", "--output-dir", tmp_path / "one")
    assert merged.code == 3, "one of its pairs is bad"
    assert "This is not the whole benchmark: 3/3 of its shards are missing." in merged.output


@pytest.mark.slow
def test_more_shards_than_pairs_are_refused_before_anything_runs(user: User, tmp_path: Path) -> None:
    config = user.simulated(mixed_benchmark(tmp_path / "data.json"))
    refused = user.check("run", "--config", config, "--shard", "1/10")
    assert refused.code == 2
    assert "--shard: the data has 9 pairs, too few for 10 shards" in refused.output
    assert not user.output.exists()
