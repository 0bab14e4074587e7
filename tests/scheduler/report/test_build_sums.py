"""What a report says of the run as a whole: times, requests, where its scores come from."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from protocol.messages import Usage
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, failed, json_of, planned, report_of, scored, stage_end


def test_times_of_a_resumed_run_are_the_sums_of_its_parts() -> None:
    report = report_of(
        [
            stage_end("edit", wall=10.0, device=54.0, workers=6, rounds=9, barrier_wait_seconds=2.0),
            stage_end("score", wall=5.0, device=4.0, workers=1, model_switches=1, model_switch_seconds=20.0),
            stage_end("edit", wall=10.0, device=36.0, workers=4, rounds=3, barrier_wait_seconds=1.0),
        ]
    )
    assert json_of(report)["performance"] == {
        "edit": {"wall_seconds": 20.0, "device_seconds": 90.0, "workers": 6, "efficiency": 0.9},
        "score": {"wall_seconds": 5.0, "device_seconds": 4.0, "workers": 1, "efficiency": 0.8},
        "rounds": 12,
        "barrier_wait_seconds": 3.0,
        "barrier_loss_in_file_order": 0.0,
        "model_switches": 1,
        "model_switch_seconds": 20.0,
        "judge": None,
    }


def test_what_the_judges_server_was_asked_is_counted_over_all_rows() -> None:
    usage = Usage(requests=2, prompt_tokens=900, completion_tokens=20, model="m-2026", system_fingerprint="fp")
    rows: list[Row] = [
        planned("a"),
        edited("a"),
        scored("a", 4.0, usage=usage),
        scored("a", 5.0, identity="B", usage=Usage(requests=1, prompt_tokens=1, completion_tokens=2, model="m-2027")),
        structs.replace(failed("b", stage="score", kind="filtered"), usage=usage),
        structs.replace(failed("c", stage="score", kind="error"), usage=Usage(requests=9)),
        scored("d", 1.0),
    ]
    assert json_of(report_of(rows))["performance"]["judge"] == {
        "requests": 14,
        "prompt_tokens": 1801,
        "completion_tokens": 42,
        "answered_by": [
            {"model": "m-2026", "system_fingerprint": "fp", "num_answers": 2},
            {"model": "m-2027", "system_fingerprint": None, "num_answers": 1},
        ],
    }


def test_without_a_finished_stage_the_performance_is_null() -> None:
    performance = json_of(report_of([planned("a")]))["performance"]
    assert set(performance["edit"].values()) == {None}
    assert performance["rounds"] is None
    idle = report_of([stage_end("edit", wall=0.0, device=0.0, workers=0)]).performance.edit
    assert idle.efficiency is None


def test_provenance_is_the_manifest_and_how_the_scores_that_count_were_made() -> None:
    rows: list[Row] = [
        planned("a"),
        edited("a"),
        scored("a", 7.0, method="marked"),
        planned("b"),
        edited("b"),
        scored("b", 5.0),
    ]
    report = json_of(report_of(rows, manifest={"git": "abc", "notes": ["The editor is simulated."], "root": Path("x")}))
    assert report["provenance"] == {
        "git": "abc",
        "notes": ["The editor is simulated."],
        "root": "x",
        "scoring_methods": {"json": 1, "marked": 1},
    }
    assert report["notes"] == ["The editor is simulated."]
