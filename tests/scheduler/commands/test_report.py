"""``warmbench report --human-scores``: the file is used, remembered, replaced, or refused with nothing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.commands.main import main
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run

SCORES = {"1": 7.0, "2": 5.5, "3": 8.0, "4": 6.0, "5": 9.0, "6": 4.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [row for name, score in SCORES.items() for row in (planned(name), edited(name), scored(name, score))]
    return saved_run(tmp_path / "outputs", rows, manifest={}, config={})


def agreement(run: Path) -> Any:
    (path,) = run.parent.parent.glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))["agreement"]


def people(folder: Path, text: str = "") -> Path:
    path = folder / "people.csv"
    path.write_text(text or "id,score\n" + "".join(f"物理/{name},{score / 2}\n" for name, score in SCORES.items()))
    return path


def report(run: Path, *more: str | Path) -> int:
    return main(["report", str(run), *map(str, more)])


def test_it_is_said_in_the_terminal_and_later_reports_have_it_too(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(run) == 0
    assert agreement(run) is None
    assert (
        "Micro average (mean over pairs): 6.58, macro average (mean of category means): 6.58" in capsys.readouterr().out
    )
    path = people(tmp_path)
    assert report(run, "--human-scores", path) == 0
    said = capsys.readouterr().out
    assert "Agreement with human scores: Spearman 1.00; Kendall tau-b 1.00" in said
    assert "- Pairs Compared: 6" in said
    first = agreement(run)
    assert first["overall"]["num_pairs"] == 6
    path.unlink()
    assert report(run) == 0
    assert agreement(run) == first
    other = people(tmp_path, "category\tpair_id\tscore\n物理\t1\t5\n物理\t2\t6\n物理\t3\t\n")
    assert report(run, "--human-scores", other) == 0
    assert (agreement(run)["overall"]["num_pairs"], agreement(run)["num_blank"]) == (2, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,score\n物理/1,x\n物理/2,7\n物理,1\n", ("line 2: score is 'x'", "line 4: id is '物理'")),
        ("id,score\nother/\x1b[31m,3\n", ("name no pair of this run; the first, in line 2, is other/\\x1b[31m",)),
    ],
)
def test_a_file_that_can_not_be_used_changes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: tuple[str, ...]
) -> None:
    assert report(run, "--human-scores", people(tmp_path)) == 0
    before = agreement(run), (run / "human_scores.csv").read_bytes()
    capsys.readouterr()
    assert report(run, "--human-scores", people(tmp_path, text)) == 2
    found = capsys.readouterr().err
    assert all(one in found for one in told)
    assert (agreement(run), (run / "human_scores.csv").read_bytes()) == before
    assert report(run, "--human-scores", tmp_path / "none.csv") == 2


def test_a_remembered_file_that_was_spoilt_is_told_and_can_be_given_anew(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "human_scores.csv").write_text("spoilt")
    assert report(run) == 2
    assert "Name the file again with --human-scores, or remove human_scores.csv" in capsys.readouterr().err
    assert report(run, "--human-scores", people(tmp_path)) == 0
    assert report(run) == 0


def test_a_report_that_cannot_be_written_is_told_by_the_exit_code_and_the_table_is_shown(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = run.parent.parent / f"evaluation_report_{run.name}.md"
    blocked.mkdir()
    assert report(run) == 1
    output = capsys.readouterr()
    assert "Overall" in output.out
    assert f"The reports can't be written: {blocked}: Is a directory" in output.err
    assert agreement(run) is None, "the others are written"
    blocked.rmdir()
    assert report(run) == 0


def test_a_comparison_that_cannot_be_written_is_told_by_the_exit_code_and_the_table_is_shown(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent.parent / f"comparison_{run.name}_{run.name}.html").mkdir()
    assert main(["compare", str(run), str(run)]) == 1
    output = capsys.readouterr()
    assert "Overall" in output.out
    assert ".html: Is a directory" in output.err
