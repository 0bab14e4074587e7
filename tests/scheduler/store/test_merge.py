"""Merging shards: what has to agree, and that the rows of the merged run give the report of the whole one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from scheduler.report.saved_run import read_run
from scheduler.store.merge import MergeError, Part, merged_manifest, plan_merge
from scheduler.store.merge_files import write_merge
from scheduler.store.rows import AnsweredRow, PlannedRow, Row, StageRow, encode_row
from scheduler.store.shard_facts import shard_note
from tests.scheduler.report import official_rows
from tests.scheduler.rows import failed, json_of, planned, report_of

example = official_rows.example

VERSIONS = {"torch": "2.9"}
PROCESS = {"version": "1", "environment": VERSIONS}


def worker(role: str = "editor", fingerprint: str = "f", **versions: str) -> dict[str, Any]:
    return {"worker_id": f"{role}-0", "role": role, "fingerprint": fingerprint, "versions": VERSIONS | versions}


def manifest(number: int, of: int, pairs: int, **changes: Any) -> dict[str, Any]:
    return {
        "run": f"run-{number}",
        "stages": ["edit", "score"],
        "shard": {"number": number, "of": of, "pairs": pairs},
        "data": {"sha256": "d"},
        "editor": {"model_name": "/models/a", "load": {"dtype": "bf16"}, "parameters": {"seed": 1}},
        "devices": {"editors": ["cuda:0"], "rewards": ["cuda:1"]},
        "notes": [f"note {number}", "the same"],
        "workers": [worker()],
        **changes,
    }


def part(number: int, of: int, rows: Sequence[Row], *, pairs: int | None = None, **changes: Any) -> Part:
    count = sum(isinstance(row, PlannedRow) for row in rows) if pairs is None else pairs
    return Part(Path(f"/runs/{number}"), manifest(number, of, count, **changes), lambda: iter(rows))


def at(position: int, pair_id: str, category: str = "add") -> PlannedRow:
    return structs.replace(planned(pair_id, category), position=position)


def problems(*parts: Part, allow_missing: bool = False) -> list[str]:
    with pytest.raises(MergeError) as raised:
        plan_merge(parts, allow_missing=allow_missing)
    return list(raised.value.problems)


def test_pairs_come_in_the_order_of_the_data_whatever_the_order_of_the_shards() -> None:
    first, second = part(1, 2, [at(0, "a"), at(2, "c")]), part(2, 2, [at(1, "b"), at(3, "d")])
    merge = plan_merge([second, first])
    assert [row.pair_id for row in merge.planned] == ["a", "b", "c", "d"]
    assert [part.path.name for part in merge.parts] == ["1", "2"]
    assert merge.missing == ()


def test_a_run_without_shard_shards_of_other_counts_doubles_and_missing_ones_are_named() -> None:
    one, two = part(1, 3, [at(0, "a")]), part(2, 3, [at(1, "b")])
    whole = Part(Path("/runs/9"), {"run": "x", "shard": None}, lambda: iter(()))
    assert problems(one, whole) == ["/runs/9 is no shard: it was run without --shard"]
    (text,) = problems(one, part(2, 2, [at(1, "b")]))
    assert text.endswith("number of shards: /runs/1: shard 1/3; /runs/2: shard 2/2")
    twice = part(2, 3, [at(2, "c")])
    assert problems(one, two, twice)[:2] == [
        "/runs/2 and /runs/2 are both shard 2/3", "shard 3/3 is missing: name its run, or give --allow-missing"
    ]  # fmt: skip
    assert plan_merge([one, two], allow_missing=True).missing[0].number == 3


def test_a_pair_in_two_shards_and_a_shard_whose_ledger_lacks_pairs_are_problems() -> None:
    both = [part(1, 2, [at(0, "a"), at(1, "b")]), part(2, 2, [at(1, "b")])]
    assert problems(*both) == ["/runs/2 has 1 pair of /runs/1, such as add/b"]
    short = part(2, 2, [at(1, "b")], pairs=2)
    assert problems(part(1, 2, [at(0, "a")]), short) == [
        "the ledger of /runs/2 has 1 of 2 pairs of its shard: resume that run"
    ]


def test_a_pair_that_a_shard_left_out_is_in_no_merged_run() -> None:
    rows: list[Row] = [at(1, "b"), at(5, "old"), failed("old", "add")]
    merge = plan_merge([part(1, 2, [at(0, "a")]), part(2, 2, rows, pairs=1, left_out=[["add", "old"]])])
    assert [row.pair_id for row in merge.planned] == ["a", "b"]
    assert not any(getattr(row, "pair_id", "") == "old" for row in merge.parts[1].kept_rows())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": {"sha256": "e"}}, 'data "d" -> "e"'),
        ({"stages": ["edit"]}, "stages edit, score -> edit"),
        ({"samples_per_pair": 2}, "samples_per_pair null -> 2"),
        ({"workers": [worker(fingerprint="g")]}, 'editor.fingerprint "f" -> "g"'),
        (
            {"editor": {"model_name": "/models/a", "load": {"dtype": "bf16"}, "parameters": {"seed": 2}}},
            "editor.parameters.seed 1 -> 2",
        ),
        (
            {
                "workers": [],
                "editor": {"model_name": "/models/b", "load": {"dtype": "bf16"}, "parameters": {"seed": 1}},
            },
            'editor.model_name "/models/a" -> "/models/b"',
        ),
    ],
)
def test_every_difference_that_decides_results_is_named(changes: dict[str, Any], expected: str) -> None:
    assert problems(part(1, 2, [at(0, "a")]), part(2, 2, [at(1, "b")], **changes)) == [
        f"/runs/2 differs from /runs/1: {expected}"
    ]


def test_places_of_equal_models_and_versions_of_packages_may_differ_and_are_recorded() -> None:
    editor = {"model_name": "/other/a", "load": {"dtype": "bf16"}, "parameters": {"seed": 1}}
    merge = plan_merge([
        part(1, 2, [at(0, "a")], notes=["note 1", "the same"]),
        part(2, 2, [at(1, "b")], editor=editor, workers=[worker(torch="2.10")]),
    ])  # fmt: skip
    merged = merged_manifest(merge, "merged", PROCESS)
    assert merged["version_differences"] == {"torch": {"editor": "2.10, 2.9", "scheduler": "2.9"}}
    assert len(merged["workers"]) == 2
    assert merged["devices"] == {"editors": ["cuda:0"] * 2, "rewards": ["cuda:1"] * 2}
    assert merged["notes"] == ["note 1", "the same", "note 2"]
    assert (merged["run"], merged["shard"], merged["shards"]) == (
        "merged", None, [part.manifest for part in merge.parts]
    )  # fmt: skip


def official_parts(folder: Path) -> list[Part]:
    """Two shards of a benchmark, as their directories have them."""
    rows = official_rows.complete_rows()
    keys = [(row.category, row.pair_id) for row in rows if isinstance(row, PlannedRow)]
    parts = []
    for number in (1, 2):
        own = [
            structs.replace(row, position=keys.index((row.category, row.pair_id)))
            if isinstance(row, PlannedRow)
            else row
            for row in rows
            if not isinstance(row, StageRow) and keys.index((row.category, row.pair_id)) % 2 == number - 1
        ]
        run = folder / "shards" / "runs" / f"20260101_00000{number}"
        run.mkdir(parents=True)
        (run / "results.jsonl").write_bytes(b"".join(map(encode_row, own)))
        (run / "config.yaml").write_text("{}\n")
        shard = {"number": number, "of": 2, "pairs": 2}
        facts = official_rows.manifest(shard=f"{number}/2") | {"shard": shard, "stages": ["edit", "score"]}
        (run / "manifest.json").write_text(json.dumps(facts))
        saved = read_run(run, folder / "shards")
        parts.append(Part(saved.path, saved.manifest, saved.rows))
    return parts


@pytest.mark.usefixtures("example")
def test_official_numbers_of_merged_shards_are_those_of_the_whole_run(tmp_path: Path) -> None:
    whole = json_of(report_of(official_rows.complete_rows(), manifest=official_rows.manifest()))
    parts = official_parts(tmp_path)
    for part in parts:
        report = report_of(list(part.rows()), manifest=dict(part.manifest))
        assert report.official is not None
        assert not report.official.comparable
        assert f"The run has 2 items of 4 (shard: {part.facts and part.facts.shard})." in report.official.deviations
    folder = write_merge(plan_merge(parts), tmp_path / "one", PROCESS)
    merged = json_of(read_run(folder, tmp_path / "one").report())
    assert merged["official"] == whole["official"]
    assert merged["official"]["comparable"]
    assert [pair["score"] for pair in merged["pairs"]] == [pair["score"] for pair in whole["pairs"]]
    assert merged["category_statistics"] == whole["category_statistics"]
    answers = [row for row in read_run(folder, tmp_path / "one").rows() if isinstance(row, AnsweredRow)]
    assert len(answers) == 8


@pytest.mark.usefixtures("example")
def test_a_merged_run_that_lacks_a_shard_says_so_and_has_no_comparable_numbers(tmp_path: Path) -> None:
    merge = plan_merge(official_parts(tmp_path)[:1], allow_missing=True)
    folder = write_merge(merge, tmp_path / "one", PROCESS)
    report = read_run(folder, tmp_path / "one").report()
    assert report.notes == ("This is not the whole benchmark: 2/2 of its shards are missing.",)
    assert report.official is not None
    assert "The run has 2 items of 4 (shard: 1/2)." in report.official.deviations


def test_a_pair_that_was_bad_and_then_good_is_good(tmp_path: Path) -> None:
    bad = structs.replace(planned("a", "add", loaded=False), position=0)
    rows: list[Row] = [bad, failed("a", "add", stage="load", kind="bad_image", sample=None), at(0, "a")]
    run = tmp_path / "1"
    run.mkdir()
    (run / "config.yaml").write_text("{}\n")
    shard = Part(run, manifest(1, 1, 1), lambda: iter(rows))
    report = read_run(write_merge(plan_merge([shard]), tmp_path, PROCESS), tmp_path).report()
    assert [pair.status for pair in report.pairs] == ["missing"]
    assert report.failures == ()


def test_a_merge_that_fails_leaves_no_run(tmp_path: Path) -> None:
    shard = Part(tmp_path / "none", manifest(1, 1, 1), lambda: iter([at(0, "a")]))
    with pytest.raises(OSError, match=r"config\.yaml"):
        write_merge(plan_merge([shard]), tmp_path, PROCESS)
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_note_of_a_shard_is_not_that_of_the_merged_run() -> None:
    one = part(1, 1, [at(0, "a")])
    facts = one.facts
    assert facts is not None
    noted = Part(one.path, {**one.manifest, "notes": [shard_note(facts.shard), "x"]}, one.rows)
    assert merged_manifest(plan_merge([noted]), "m", PROCESS)["notes"] == ["x"]
