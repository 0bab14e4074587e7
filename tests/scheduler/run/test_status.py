"""How a run stands is worked out of its rows: what is done, how fast it goes now, what is left."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scheduler.commands.status import look_at, status_json, status_lines
from scheduler.report.saved_run import open_run
from scheduler.run.status import RunStatus, run_status
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, Row, ScoredRow
from tests.scheduler.rows import edited, failed, planned, scored, stage_end
from tests.scheduler.saved import saved_run

START = 1_000_000.0
MANIFEST = {"started": datetime.fromtimestamp(START, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S%z")}


def at(row: EditedRow | ScoredRow, finished: float, seconds: float = 1.0, **more: int) -> Row:
    changed: Row = msgspec.structs.replace(row, started=START + finished - seconds, finished=START + finished, **more)
    return changed


def status(rows: Sequence[Row], *, running: bool | None = True, now: float = 0.0, **expected: Any) -> RunStatus:
    return run_status(rows, manifest=MANIFEST, expected=Expected(**expected), running=running, now=START + now)


PLANNED: list[Row] = [planned(str(number)) for number in range(10)]


def test_a_run_that_has_just_begun_has_all_before_it() -> None:
    found = status(PLANNED)
    assert found.state == "running"
    assert not found.begun
    edit, score = found.stages["edit"], found.stages["score"]
    assert (edit.done, edit.failed, edit.total, edit.per_second, edit.seconds_left) == (0, 0, 10, None, None)
    assert (score.done, score.total) == (0, 10)
    assert found.report.overall.num_missing == 10


def test_rate_and_remaining_time_are_those_of_what_was_done() -> None:
    rows: list[Row] = [*PLANNED, *(at(edited(str(n)), 2.0 * (n + 1), 2.0) for n in range(5)), at(scored("0", 8.0), 4.0)]
    edit = status(rows, now=10.0).stages["edit"]
    assert edit.done == 5
    assert edit.per_second == pytest.approx(0.5)
    assert edit.seconds_left == pytest.approx(10.0)
    assert status(rows, now=20.0).stages["edit"].per_second == pytest.approx(0.25), "it falls while nothing happens"


def test_what_an_earlier_part_did_counts_as_done_but_not_for_the_rate() -> None:
    before: list[Row] = [at(edited(str(n)), -1000.0 + n, 1.0) for n in range(4)]
    found = status([*PLANNED, *before, at(edited("4"), 10.0, 5.0), at(edited("5"), 15.0, 5.0)], now=15.0)
    assert found.stages["edit"].done == 6
    assert found.stages["edit"].per_second == pytest.approx(0.2)
    assert found.stages["edit"].seconds_left == pytest.approx(20.0)
    assert not status([*PLANNED, *before], now=15.0).begun


def test_failed_edits_have_no_scores_to_come_and_bad_pairs_no_edits() -> None:
    bad: list[Row] = [planned("bad", loaded=False), failed("bad", stage="load", kind="bad_image", sample=None)]
    rows: list[Row] = [*PLANNED, *bad, failed("0"), failed("1"), edited("2"), failed("2", stage="score", pass_=0)]
    found = status(rows, samples_per_pair=2, reward_passes=3)
    edit, score = found.stages["edit"], found.stages["score"]
    assert (edit.done, edit.failed, edit.total) == (1, 2, 20)
    assert (score.done, score.failed, score.total) == (0, 1, 54)


def test_the_state_is_told_by_whether_somebody_works_on_it_and_pairs_are_missing() -> None:
    done: list[Row] = [row for name in "12" for row in (planned(name), edited(name), scored(name, 5.0))]
    assert status(done, running=False).state == "finished"
    assert status([*done, planned("3"), failed("3")], running=False).state == "finished"
    assert status([*done, planned("3")], running=False).state == "stopped"
    assert status([], running=False).state == "stopped", "it ended before it could write what it was to do"
    assert status(done, running=True).state == "running"
    assert status(done, running=None).state == "unknown"
    assert status([*done, planned("3")], running=False, now=300.0).stages["edit"].per_second is None


def test_rounds_are_those_of_the_stages_that_are_over_and_of_the_one_that_goes_on() -> None:
    over: list[Row] = [at(edited("0"), 1.0, round=0), stage_end("edit", wall=1, device=1, workers=1, rounds=7)]
    now: list[Row] = [at(edited(str(n)), 2.0 + n, round=n // 2) for n in range(1, 5)]
    assert status([*PLANNED, *over, *now]).rounds == 10


def test_the_last_events_are_results_and_failures_in_their_order() -> None:
    outdated = failed("9", kind="outdated", message="other settings")
    rows: list[Row] = [*PLANNED, *(edited(str(n)) for n in range(7)), outdated, failed("8")]
    assert list(status(rows).events) == [*(edited(str(n)) for n in range(3, 7)), failed("8")]


def test_people_read_plain_lines_that_data_can_not_disturb(tmp_path: Path) -> None:
    name = "evil\x1b[31m\nname"
    rows: list[Row] = [
        planned("1", name),
        edited("1", name),
        scored("1", 7.5, name),
        planned("2"),
        failed("2", message="a\nb"),
    ]
    path = saved_run(
        tmp_path, [*rows, planned("3")], manifest={**MANIFEST, "command": ["warmbench", "run", "--limit", "2"]}
    )
    (tmp_path / f"evaluation_report_{path.name}.json").touch()
    run = open_run(str(path), None)
    lines = list(status_lines(run, look_at(run)))
    text = "\n".join(lines)

    assert "\x1b" not in text
    assert all(line.isprintable() for line in lines)
    assert "not running, and not finished" in lines[0]
    assert "edit: 1/3, 1 failed" in lines
    table = [line.split() for line in lines if line.startswith(("evil", "物理", "Overall"))]
    assert table[-1] == ["Overall", "1", "1", "1", "7.50"]
    assert any("(edit, oom: a\\nb)" in line for line in lines)
    assert any(f"evaluation_report_{path.name}.json" in line for line in lines)
    assert f"run --limit 2 --resume {path.name}" in text


def test_programs_read_one_json_object(tmp_path: Path) -> None:
    path = saved_run(
        tmp_path,
        [planned("1"), planned("2"), at(edited("2"), 5.0), at(scored("2", 7.5), 6.0)],
        manifest={"notes": ["\ud800"]},
    )
    run = open_run(str(path), None)
    found = json.load(io.StringIO(status_json(run, look_at(run))))
    assert found["run"] == path.name
    assert found["state"] == "stopped"
    assert found["stages"]["edit"] == {"done": 1, "failed": 0, "total": 2, "per_second": None, "seconds_left": None}
    assert found["overall"] == {"pairs": 2, "done": 1, "failed": 0, "missing": 1, "mean": 7.5}
    assert [event["event"] for event in found["last_events"]] == ["edited", "scored"]
    assert found["last_events"][1]["score"] == 7.5


def test_who_works_and_what_failed_last_is_told_of_a_run_that_goes_on(tmp_path: Path) -> None:
    rows: list[Row] = [*PLANNED, failed("9", message="out of memory"), at(edited("0"), -50.0)]
    names = ("editor-10", "editor-2", "editor-2")
    rows += [
        msgspec.structs.replace(at(edited(str(n)), 3.0 + n), worker=name, device=f"cuda:{n}")
        for n, name in enumerate(names, start=1)
    ]
    rows += [at(scored(str(n), 5.0), 8.0) for n in range(1, 4)]
    rows += [at(scored("0", 5.0), 9.0)] * 5
    found = status(rows, now=10.0)
    assert {name: (one.done, one.device) for name, one in found.workers.items()} == {
        "editor-10": (1, "cuda:1"),
        "editor-2": (2, "cuda:2"),
        "reward-0": (8, "cuda:1"),
    }
    assert found.last_failure is not None

    run = open_run(str(saved_run(tmp_path, rows, manifest=MANIFEST)), None)
    lines = list(status_lines(run, found))
    workers = [line.split()[:3] for line in lines if line.startswith(("editor-", "reward-"))]
    assert workers == [["editor-2", "cuda:2", "2"], ["editor-10", "cuda:1", "1"], ["reward-0", "cuda:1", "8"]]
    assert any(line.startswith("Last failure: ") and "out of memory" in line for line in lines)
    content = json.loads(status_json(run, found))
    assert content["workers"]["editor-2"] == {"device": "cuda:2", "done": 2, "last": START + 6.0}
    assert content["last_failure"]["pair_id"] == "9"
    assert status([*rows, at(edited("9"), 9.5), at(scored("9", 5.0), 9.6)]).last_failure is None, "it was done again"
