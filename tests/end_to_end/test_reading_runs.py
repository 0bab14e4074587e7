"""What reads runs: their reports again, how they stand, and how they compare; while they run, and long after."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_endings import finish, role_processes, started_run
from tests.harness import User, encoded, pair, picture, small_benchmark, write_data
from tests.scheduler.report.test_schema import problems
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run
from tests.waiting import wait_until

ASPECTS = {
    "default": {
        "aspects": {
            "look": {"system_prompt": "s", "user_prompt_template": "look {edit_instruction}"},
            "sense": {"system_prompt": "s", "user_prompt_template": "sense {original_description}"},
        },
        "combine": "mean",
    }
}


def left_by(user: User) -> dict[str, bytes]:
    """The reports of the newest run, by name."""
    files = [*user.output.glob("evaluation_report_*"), user.run_folder() / "pairs.csv"]
    return {path.name: path.read_bytes() for path in files}


def remove_reports(user: User) -> None:
    for path in (*user.output.glob("evaluation_report_*"), user.run_folder() / "pairs.csv"):
        path.unlink()


def status(user: User, *arguments: str) -> dict[str, Any]:
    result = user.check("status", "--json", *arguments)
    assert result.code == 0, result.output
    answer: dict[str, Any] = json.loads(result.output)
    return answer


def table(user: User) -> list[dict[str, str]]:
    text = (user.run_folder() / "pairs.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.slow
@pytest.mark.warm
def test_reports_made_again_from_the_run_directory_are_the_same(user: User, tmp_path: Path) -> None:
    good = encoded(picture((32, 32)))
    data = write_data(
        tmp_path / "data.json",
        {"物理": [pair(1, good), pair("=2", good, "=SUM(1)\n换行"), pair("bad", "%%%")], "b": [pair(3, good)]},
    )
    sections: dict[str, Any] = {"samples_per_pair": 2, "metrics": ["mean", "ci95"], "save_generated_images": True}
    config = user.simulated(data, prompts=ASPECTS, evaluation=sections)
    assert user.run_config(config).code == 3
    written = left_by(user)
    assert len(written) == 4
    report = user.report()
    assert problems(report) == []
    rows = table(user)
    assert len(rows) == 8
    assert {row["status"] for row in rows if row["pair_id"] == "bad"} == {"failed"}
    (row,) = (row for row in rows if row["pair_id"] == "'=2" and row["sample"] == "1")
    assert row["instruction"] == "'=SUM(1)\n换行"
    row = next(row for row in rows if row["category"] == "b")
    assert float(row["score"]) == pytest.approx((float(row["aspect:look"]) + float(row["aspect:sense"])) / 2)

    remove_reports(user)
    result = user.check("report", "latest")
    assert result.code == 3, result.output
    assert left_by(user) == written

    # Gone on with under other settings, and then moved to another place.
    data.write_text(json.dumps({"b": [pair(3, good)]}))
    assert user.run_config(config, "--resume", "latest").code == 0
    assert problems(user.report()) == []
    written = left_by(user)
    remove_reports(user)
    moved = shutil.copytree(user.run_folder(), tmp_path / "moved" / user.run_folder().name)
    assert user.check("report", moved, "--output-dir", tmp_path / "there").code == 0
    written_again = {path.name: path.read_bytes() for path in (*(tmp_path / "there").iterdir(), moved / "pairs.csv")}
    # The gallery says where it finds the run, seen from itself; all else is the same.
    there, here = (f"{folder}/{moved.name}/".encode() for folder in ("../moved", "runs"))
    assert {name: content.replace(there, here) for name, content in written_again.items()} == written


@pytest.mark.slow
def test_report_and_status_of_a_killed_run_say_how_far_it_came(user: User, tmp_path: Path) -> None:
    # The run cannot finish: an editor never returns from this pair.
    process = started_run(user, tmp_path / "data.json", pairs=15, latency_ms=150, faults={"hang": ["物理/7"]})
    live = status(user)
    assert live["state"] == "running"
    edit = live["stages"]["edit"]
    assert 0 < edit["done"] < edit["total"] == 30
    assert 0 < edit["per_second"] < 30
    assert edit["seconds_left"] > 0
    assert live["last_events"]
    assert Path(live["log"]).name == f"benchmark_{live['run']}.log"
    process.send_signal(signal.SIGKILL)
    finish(process)

    result = user.check("report", user.run_folder())
    assert result.code == 3, result.output
    report = user.report()
    assert problems(report) == []
    assert report["status"] == "INCOMPLETE"
    assert report["overall"]["num_missing"] == 30 - report["overall"]["num_samples"] > 0
    stopped = status(user, user.run_folder().name)
    assert stopped["state"] == "stopped"
    assert stopped["overall"]["done"] == report["overall"]["num_samples"]
    assert stopped["stages"]["edit"]["per_second"] is None
    plain = user.check("status")
    assert plain.code == 0
    assert f"--resume {user.run_folder().name}" in plain.output
    assert "\x1b" not in plain.output


@pytest.mark.slow
def test_reading_a_run_in_progress_does_not_disturb_it(user: User, tmp_path: Path) -> None:
    patient = {"dead_after_seconds": 120}
    process = started_run(user, tmp_path / "data.json", pairs=10, latency_ms=100, scheduler=patient)
    # The run cannot finish while one of its editors is stopped.
    (editor,) = role_processes(user, "editor-1 on")
    editor.suspend()
    ledger = user.run_folder() / "results.jsonl"
    before = ledger.stat().st_ino
    result = user.check("report", "latest")
    assert result.code == 3, result.output
    assert "not over" in result.output
    assert user.report()["status"] == "INCOMPLETE"
    assert user.check("compare", "latest", "latest").code in (0, 2)
    editor.resume()
    output = finish(process)
    assert process.returncode == 0, output
    assert ledger.stat().st_ino == before
    report = user.report()
    assert report["status"] == "COMPLETE"
    assert report["overall"]["num_samples"] == 20
    assert status(user)["state"] == "finished"
    assert [row["status"] for row in table(user)] == ["scored"] * 20
    wait_until(lambda: user.left_over() == [])


@pytest.mark.warm
@pytest.mark.slow
def test_runs_are_compared_and_a_worse_one_gives_exit_code_4(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json")
    inverted = user.simulated(data)
    assert user.run_config(inverted).code == 0
    as_it_was = user.config(
        "identity",
        benchmark={"data_path": str(data)},
        diffusion_model={"type": "identity", "params": {"device_ids": ["cpu"]}},
        reward_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 5}},
    )
    assert user.run_config(as_it_was).code == 0
    runs = sorted(path.name for path in (user.output / "runs").iterdir())
    reports = [json.loads((user.output / f"evaluation_report_{run}.json").read_text(encoding="utf-8")) for run in runs]
    better, worse = sorted(runs, key=lambda run: -reports[runs.index(run)]["overall"]["mean"])
    lost = abs(reports[0]["overall"]["mean"] - reports[1]["overall"]["mean"])
    assert lost > 0

    result = user.check("compare", better, worse, "--fail-if-worse", str(lost / 2))
    assert result.code == 4, result.output
    assert "changed: editor.type" in result.output
    assert "WORSE by more than" in result.output
    comparison = json.loads((user.output / f"comparison_{better}_{worse}.json").read_text(encoding="utf-8"))
    assert comparison["comparisons"][0]["overall"]["mean_difference"] == pytest.approx(-lost)
    assert comparison["comparisons"][0]["worse"] is True
    assert len(comparison["comparisons"][0]["pairs"]) == 8
    assert user.check("compare", better, worse, "--fail-if-worse", str(lost * 2)).code == 0
    assert user.check("compare", worse, better, "--fail-if-worse", "0").code == 0
    same = user.check("compare", user.output / "runs" / worse, worse, "--fail-if-worse", "0")
    assert same.code == 0, same.output
    assert "mean difference 0.00" in same.output
    assert "no setting differs" in same.output


@pytest.mark.slow
def test_a_missing_run_or_an_empty_comparison_is_a_usage_error(user: User, tmp_path: Path) -> None:
    first, other = (saved_run(tmp_path / name, [planned(name), edited(name), scored(name, 5.0)]) for name in "ab")
    nothing = user.check("compare", first, other, "--fail-if-worse", "0.2")
    assert nothing.code == 2, "what could not be compared has not passed"
    assert "no pair has a score in both" in nothing.output
    assert user.check("compare", first, f"{other}x").code == 2
    for arguments in (("report", "latest"), ("status",), ("compare", "one", "two")):
        result = user.check(*arguments)
        assert result.code == 2, result.output
        assert "there is no run in outputs/runs: name its output folder" in result.output
    assert user.check("compare", "latest").code == 2
    assert user.check("report").code == 2
    assert user.check("compare", "a", "b", "--fail-if-worse", "-1").code == 2
    assert user.check("compare", "a", "b", "--fail-if-worse", "nan").code == 2
