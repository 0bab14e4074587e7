"""A run's numbers in the formats in which results are published: complete, and nothing claimed that is not so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from scheduler.commands.main import main
from scheduler.report.interchange import RESULTS, Facts, UnsuitableRunError
from scheduler.report.model import Report
from scheduler.store.rows import Row
from tests.scheduler.report.official_rows import complete_rows, example, manifest
from tests.scheduler.rows import edited, planned, report_of, scored
from tests.scheduler.saved import saved_run

__all__ = ["example"]

FACTS = Facts(model="me/editor", dataset="me/bench", task="edits", organization="Me & Co", prompts='{"default": "?"}')
ROWS: Sequence[Row] = [
    row
    for category in ("物理", "add")
    for name, score in (("1", 4.0), ("2", 7.0), ("3", 7.0))
    for row in (
        planned(name, category),
        edited(name, category),
        scored(name, score, category, aspects={"likeness": 2.0}),
    )
]
MANIFEST: dict[str, Any] = {
    "run": "20260101_120000",
    "started": "2026-01-01T12:00:00+0100",
    "version": "0.1.0",
    "data": {"path": "/data/my edits.json", "format": "json", "sha256": "a" * 64},
    "editor": {"type": "qwen_image_edit", "model_name": "Qwen/Qwen-Image-Edit", "parameters": {"seed": 3}},
    "reward": {"type": "qwen3_vl", "model_name": "Qwen/Qwen3-VL", "parameters": {"score_range": [0, 10]}},
    "notes": ["The editor ran with approximate optimizations."],
}


def own(**changes: Any) -> Report:
    return report_of(ROWS, manifest={**MANIFEST, **changes})


def official(**changes: Any) -> Report:
    return report_of(complete_rows(), manifest={**MANIFEST, **manifest(**changes)})


def entry(report: Report, facts: Facts = FACTS) -> Any:
    """The Hub's entry, as its own client reads it."""
    file = RESULTS["eval_results"](report, facts)
    assert file.path == Path(".eval_results/me--bench.yaml")
    (parsed,) = parse_eval_result_entries(yaml.safe_load(file.content))
    return parsed


def record(report: Report, facts: Facts = FACTS) -> Any:
    return json.loads(RESULTS["every_eval_ever"](report, facts).content)


def results(report: Report) -> dict[str, Any]:
    return {result["metric_config"]["metric_id"]: result for result in record(report)["evaluation_results"]}


def test_the_hub_gets_the_mean_of_a_run_without_a_protocol_and_how_it_was_made() -> None:
    read = entry(own())
    assert (read.dataset_id, read.task_id, read.value, read.date) == ("me/bench", "edits", 6.0, "2026-01-01T11:00:00Z")
    assert read.notes.startswith(
        "mean score of 6 items, 95% interval 4.374 to 7.626; judged by Qwen/Qwen3-VL; warmbench"
    )
    assert read.notes.endswith("; The editor ran with approximate optimizations.")
    assert read.source_url is None
    linked = entry(own(), Facts(dataset="me/bench", task="edits", source_url="https://example.org/run"))
    assert linked.source_url == "https://example.org/run"


@pytest.mark.usefixtures("example")
def test_the_hub_gets_the_main_official_number_and_only_if_it_is_comparable() -> None:
    report = official()
    assert report.official is not None
    assert report.official.comparable
    assert entry(report).value == pytest.approx(report.official.numbers[str(report.official.main)])
    assert "protocol example 2b06cc1, judged by gpt-4.1" in entry(report).notes
    with pytest.raises(UnsuitableRunError, match="not comparable with published ones: "):
        entry(official(full_items=8))


def test_a_record_says_what_was_evaluated_by_whom_and_with_what() -> None:
    read = record(own())
    assert (read["schema_version"], read["evaluation_timestamp"]) == ("0.3.0", "2026-01-01T11:00:00Z")
    assert read["evaluation_id"] == f"my_edits/me_editor/{read['retrieved_timestamp']}"
    assert read["source_metadata"] == {
        "source_name": "warmbench",
        "source_type": "evaluation_run",
        "source_organization_name": "Me & Co",
        "evaluator_relationship": "other",
        "additional_details": {"notes": "The editor ran with approximate optimizations."},
    }
    assert (read["eval_library"]["name"], read["eval_library"]["version"]) == ("warmbench", "0.1.0")
    assert read["model_info"]["id"] == "me/editor"
    assert read["model_info"]["additional_details"] == {
        "deployment_type": "self_deployed",
        "model_availability": "unknown",
        "type": "qwen_image_edit",
        "checkpoint": "Qwen/Qwen-Image-Edit",
        "parameters.seed": "3",
    }


def test_a_record_has_the_mean_of_all_of_each_category_and_of_each_dimension_with_its_uncertainty() -> None:
    read = results(own())
    assert list(read) == [
        "warmbench.score",
        "warmbench.category.物理",
        "warmbench.category.add",
        "warmbench.dimension.likeness",
    ]
    whole = read["warmbench.score"]
    assert whole["score_details"]["score"] == 6.0
    uncertainty = whole["score_details"]["uncertainty"]
    assert (uncertainty["num_samples"], uncertainty["standard_deviation"]) == (6, pytest.approx(2**0.5))
    assert uncertainty["confidence_interval"]["lower"] == pytest.approx(4.374, abs=0.001)
    assert uncertainty["confidence_interval"]["confidence_level"] == 0.95
    metric = whole["metric_config"]
    assert (metric["lower_is_better"], metric["min_score"], metric["max_score"]) == (False, 0, 10)
    assert metric["llm_scoring"]["judges"][0]["model_info"]["id"] == "Qwen/Qwen3-VL"
    assert metric["llm_scoring"]["input_prompt"] == '{"default": "?"}'
    assert whole["source_data"]["hf_repo"] == "me/bench"
    private = record(own(), Facts(model="me/editor", organization="Me & Co"))["evaluation_results"][0]["source_data"]
    assert (private["source_type"], private["dataset_name"]) == ("other", "my_edits")


@pytest.mark.usefixtures("example")
def test_a_record_has_official_numbers_only_if_they_are_comparable() -> None:
    report = official()
    assert report.official is not None
    read = results(report)
    main = str(report.official.main)
    assert read[f"example.{main}"]["score_details"]["score"] == report.official.numbers[main]
    lower = {name for name, result in read.items() if result["metric_config"]["lower_is_better"]}
    assert lower == {"warmbench.dimension.flaws", "example.Flaws"}
    deviating = official(full_items=8)
    assert not [name for name in results(deviating) if name.startswith("example.")]
    (note,) = RESULTS["every_eval_ever"](deviating, FACTS).notes
    assert note.startswith("The official numbers are left out: they are not comparable with published ones: ")


def test_the_place_of_a_record_is_the_same_for_the_same_run() -> None:
    first, again, other = (
        RESULTS["every_eval_ever"](report, FACTS).path for report in (own(), own(), own(run="20260101_130000"))
    )
    assert first == again != other
    assert first.parent == Path("data/my_edits/me/editor")
    assert (first.stem[14], first.suffix) == ("4", ".json")


@pytest.mark.parametrize("results_format", RESULTS)
@pytest.mark.parametrize(
    ("report", "facts", "reason"),
    [
        (lambda: report_of(ROWS[:-1], manifest=MANIFEST), FACTS, "1 of 6 pairs without a score"),
        (lambda: own(reward={"type": "simulated"}), FACTS, "the reward was simulated"),
        (own, Facts(model="me/../x", dataset="../bench", task="a", organization="b"), "must be the .* as OWNER/NAME"),
        (own, Facts(model="me/x", dataset="me/bench"), "--task is missing|--organization is missing"),
    ],
)
def test_what_cannot_be_published_is_refused(
    results_format: str, report: Callable[[], Report], facts: Facts, reason: str
) -> None:
    with pytest.raises(UnsuitableRunError, match=reason):
        RESULTS[results_format](report(), facts)


def test_the_folder_of_a_checkpoint_is_no_name_on_the_hub() -> None:
    facts = Facts(organization="Me & Co")
    assert record(own(), facts)["model_info"]["id"] == "Qwen/Qwen-Image-Edit"
    for folder in ("out/checkpoint-500", "/out/final", "tests/scheduler"):
        editor = {**MANIFEST["editor"], "model_name": folder}
        with pytest.raises(UnsuitableRunError, match="--model must be"):
            record(own(editor=editor), facts)


def test_the_command_writes_the_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"prompts": {"default": {"system_prompt": "", "user_prompt_template": "Good?"}}}
    run = saved_run(tmp_path / "outputs", ROWS, manifest=MANIFEST, config=config)
    command = ["export", str(run), "--results", "every_eval_ever", "--to", str(tmp_path / "eee")]
    assert main(command) == 2
    assert "--organization is missing" in capsys.readouterr().err
    assert main([*command, "--organization", "Me & Co", "--relationship", "third_party"]) == 0
    (file,) = tmp_path.glob("eee/data/my_edits/Qwen/Qwen-Image-Edit/*.json")
    assert f"written to {file}" in capsys.readouterr().out
    read = json.loads(file.read_text(encoding="utf-8"))
    assert read["source_metadata"]["evaluator_relationship"] == "third_party"
    assert "Good?" in read["evaluation_results"][0]["metric_config"]["llm_scoring"]["input_prompt"]
    assert main([*command, "--organization", "Me & Co"]) == 2
    assert "is there already, and nothing is overwritten" in capsys.readouterr().err
