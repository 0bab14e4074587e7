"""``warmbench series``: the table, the files, the exit codes, and what can't be compared."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from scheduler.commands.main import main
from scheduler.store.rows import Row
from tests.scheduler.report.series.runs import checkpoint
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run

BASE = [5.0, 6.0, 7.0, 4.0, 8.0, 5.0, 6.0, 7.0]
WORSE = [4.0, 5.5, 5.5, 3.0, 7.5, 4.0, 4.5, 6.0]


def made(folder: Path, *runs: Sequence[float | None], **changed: object) -> None:
    """Checkpoints 100, 200, ...; ``changed`` is what the manifest of the last has otherwise."""
    for number, scores in enumerate(runs, start=1):
        otherwise = changed if number == len(runs) else {}
        checkpoint(folder, f"/t/checkpoint-{number}00", scores, stamp=f"20260101_12000{number}", **otherwise)


def series(folder: Path, *arguments: str) -> int:
    return main(["series", *arguments, "--output-dir", str(folder)])


def table(text: str) -> list[list[str]]:
    """The rows of the printed table, split at two blanks or more."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines() if " t/" in line]


def test_the_table_has_the_best_first_with_differences_to_the_best_and_the_previous(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, WORSE, BASE, [*BASE[:7], None])
    assert series(tmp_path, "t/*") == 0
    shown = capsys.readouterr().out
    rows = table(shown)
    assert [row[:4] for row in rows] == [
        ["t/checkpoint-200", "200", "8/8", "6.00"],
        ["t/checkpoint-300", "300", "7/8", "5.86"],
        ["t/checkpoint-100", "100", "8/8", "5.00"],
    ]
    assert rows[0][5] == "best"
    assert rows[1][5:7] == ["0.00 [0.00, 0.00]", "1.000"], "over the seven pairs that both have"
    assert rows[2][5].startswith("-1.00 [")
    assert "corrected for all 3 comparisons of two runs" in shown


def test_the_files_are_the_table_the_pairs_and_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, WORSE, [*BASE[:7], None])
    to = tmp_path / "series"
    assert series(tmp_path, "t/*", "--to", str(to), "--no-plots") == 0
    shown = capsys.readouterr().out
    assert all(f"Series: {to / name}" in shown for name in ("series.json", "series.csv", "pairs.csv"))
    rows = list(csv.DictReader(io.StringIO((to / "series.csv").read_text(encoding="utf-8-sig"))))
    assert [(row["rank"], row["title"], row["step"], row["num_scored"]) for row in rows] == [
        ("1", "t/checkpoint-200", "200", "7"),
        ("2", "t/checkpoint-100", "100", "8"),
    ]
    assert rows[1]["best_run"] == "20260101_120002"
    assert float(rows[1]["best_mean_difference"]) == -float(rows[0]["previous_mean_difference"])
    pairs = list(csv.DictReader(io.StringIO((to / "pairs.csv").read_text(encoding="utf-8-sig"))))
    assert len(pairs) == 8
    assert (pairs[7]["score:t/checkpoint-100"], pairs[7]["score:t/checkpoint-200"]) == ("6.0", "")
    assert pairs[7]["status:t/checkpoint-200"] == "missing"
    content = json.loads((to / "series.json").read_bytes())
    assert content["runs"][0]["directory"] == "../runs/20260101_120001"


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    made(tmp_path, WORSE, BASE)
    for name in ("one", "two"):
        assert series(tmp_path, "t/*", "--to", str(tmp_path / name), "--no-plots") == 0
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_worse_than_the_previous_run_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, WORSE, BASE, WORSE)
    assert series(tmp_path, "t/*", "--fail-if-worse", "0.5") == 4
    assert (
        "t/checkpoint-300 against t/checkpoint-200 (previous): WORSE by more than 0.5: mean" in capsys.readouterr().out
    )
    assert series(tmp_path, "t/*", "--fail-if-worse", "1") == 0
    assert series(tmp_path, "t/*", "--fail-if-worse", "0", "--against", "t/checkpoint-100") == 0
    assert series(tmp_path, "t/*", "--fail-if-worse", "0", "--against", "best") == 4
    assert series(tmp_path, "t/*", "--fail-if-worse", "0", "--candidate", "t/checkpoint-200") == 0


def test_json_has_the_gate_and_no_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, BASE, WORSE)
    assert series(tmp_path, "t/*", "--json", "--fail-if-worse", "0") == 4
    content = json.loads(capsys.readouterr().out)
    assert content["gate"]["worse"] is True
    assert content["pairs"] == []
    assert [run["step"] for run in content["runs"]] == [100, 200]


def test_a_run_that_was_judged_otherwise_is_named_and_no_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, WORSE, WORSE, BASE, prompts_sha256="0")
    assert series(tmp_path, "t/*") == 0
    shown = capsys.readouterr().out
    assert (
        't/checkpoint-300 was not judged like most runs, and cannot be compared with them: prompts_sha256 "0"' in shown
    )
    assert table(shown)[-1][0] == "t/checkpoint-300", "its higher mean does not make it the best"
    assert series(tmp_path, "t/*", "--fail-if-worse", "0") == 2
    assert "can't be told: they were not judged alike" in capsys.readouterr().out


def test_other_settings_are_named_beside_the_usual_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    editor = {"type": "simulated", "model_name": "/t/checkpoint-300", "parameters": {"num_inference_steps": 8}}
    made(tmp_path, BASE, BASE, BASE, editor=editor)
    assert series(tmp_path, "t/*") == 0
    assert "t/checkpoint-300: editor.parameters.num_inference_steps 8 (usual: 4)" in capsys.readouterr().out


def test_a_pair_with_another_image_is_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, BASE, BASE)
    changed: list[Row] = [planned("0", "add"), edited("0", "add"), scored("0", 1.0, "add")]
    ledger = saved_run(tmp_path / "x", changed, stamp="20260101_120009", manifest=None) / "results.jsonl"
    text = ledger.read_text(encoding="utf-8").replace("edit 0", "edit something else")
    with (tmp_path / "runs/20260101_120002/results.jsonl").open("a", encoding="utf-8") as file:
        file.write(text.replace('"A"', '"B"'))
    assert series(tmp_path, "t/*") == 0
    shown = capsys.readouterr().out
    assert "1 pair of t/checkpoint-200 has another source image or instruction than in most runs" in shown


def test_different_benchmarks_and_missing_runs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, BASE)
    other: list[Row] = [planned("0", "other"), edited("0", "other"), scored("0", 1.0, "other")]
    saved_run(tmp_path, other, stamp="20260101_130000", manifest={})
    assert series(tmp_path, "t/*", "20260101_130000") == 2
    assert "can't be compared: they have no pair in common" in capsys.readouterr().err
    assert series(tmp_path, "nothing*") == 2
    assert series(tmp_path, "t/*", "--fail-if-worse", "0", "--against", "gone") == 2
    assert "the series has no run called 'gone'" in capsys.readouterr().err


def test_files_that_cannot_be_written_are_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, BASE)
    (tmp_path / "file").touch()
    assert series(tmp_path, "t/*", "--to", str(tmp_path / "file"), "--no-plots") == 1
    assert "The series can't be written: " in capsys.readouterr().err


def test_models_without_steps_are_a_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (model, scores) in enumerate({"t/one": WORSE, "t/two": BASE}.items()):
        checkpoint(tmp_path, model, scores, stamp=f"20260101_12000{number}")
    assert series(tmp_path, "t/*") == 0
    shown = capsys.readouterr().out
    assert "Step" not in shown
    assert "Previous" not in shown
    assert [row[0] for row in table(shown)] == ["t/two", "t/one"]
