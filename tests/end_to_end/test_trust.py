"""Numbers that one can trust, through the real command: the no-edit control, seeds, repeated runs, human scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.commands.main import main
from tests.end_to_end.test_hostile_input import shows_safely
from tests.end_to_end.test_reading_runs import ASPECTS
from tests.harness import User, small_benchmark
from tests.scheduler.report.test_schema import problems

PREFERS_CHANGE = {"prefers": "change", "compare_with_original": True}
SEEDED_EDITOR = """
from workers.interface import Editor

class Seeded(Editor):
    def load(self, residency):
        pass
    def edit(self, request, progress):
        image = request.image.copy()
        image.putpixel((0, 0), (request.seed % 256, 7, len(request.key)))
        return image
"""


def run_of(user: User, config: Path) -> str:
    """The id of the run that this config makes."""
    result = user.run_config(config)
    assert result.code == 0, result.output
    return user.run_folder().name


def compare(user: User, first: str, other: str, *more: str) -> int:
    runs = user.output / "runs"
    return main(["compare", str(runs / first), str(runs / other), "--output-dir", str(user.output), *more])


def compared(user: User, first: str, other: str) -> dict[str, Any]:
    assert compare(user, first, other) == 0
    content = json.loads((user.output / f"comparison_{first}_{other}.json").read_text(encoding="utf-8"))
    comparison: dict[str, Any] = content["comparisons"][0]
    return comparison


@pytest.mark.slow
@pytest.mark.warm
def test_the_no_edit_control_says_what_it_is_and_is_beaten_by_an_editor_that_changes_something(
    user: User, tmp_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json")
    control = user.config(
        "control",
        benchmark={"data_path": str(data)},
        diffusion_model={"type": "identity", "params": {"device_ids": ["cpu"]}},
        reward_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 0, **PREFERS_CHANGE}},
    )
    result = user.run_config(control)
    assert result.code == 0, result.output
    nothing = user.run_folder().name
    assert "No-edit control" in result.output
    assert "Micro average (mean over pairs): 0.00, macro average (mean of category means): 0.00" in result.output
    report = user.report()
    assert report["notes"][0].startswith("No-edit control: every source image was given back unchanged.")
    assert report["overall"]["mean"] == 0.0
    (markdown,) = user.output.glob("*.md")
    text = markdown.read_text(encoding="utf-8")
    assert text.index("> **Note:** No-edit control") < text.index("## Overall Statistics")

    something = run_of(user, user.simulated(data, editor={"latency_ms": 0}, reward={"latency_ms": 0, **PREFERS_CHANGE}))
    overall = compared(user, nothing, something)["overall"]
    assert overall["mean_difference"] > 0
    assert overall["ci95"][0] > 0
    assert (overall["wins"], overall["ties"], overall["losses"]) == (8, 0, 0)
    overall = compared(user, something, nothing)["overall"]
    assert overall["ci95"][1] < 0
    assert compare(user, nothing, something, "--fail-if-worse", "0") == 0
    assert compare(user, something, nothing, "--fail-if-worse", "0.1") == 4


@pytest.mark.slow
def test_two_seeds_do_not_differ_significantly_and_a_run_does_not_differ_from_itself(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(SEEDED_EDITOR)
    data = small_benchmark(tmp_path / "data.json")

    def config(seed: int) -> Path:
        return user.config(
            f"seed{seed}",
            benchmark={"data_path": str(data)},
            diffusion_model={"class_path": "mine.Seeded", "params": {"device": "cpu", "seed": seed}},
            reward_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 0}},
            evaluation={"samples_per_pair": 2, "reward_passes": 2},
            prompts=ASPECTS,
        )

    first, other = run_of(user, config(0)), run_of(user, config(100))
    comparison = compared(user, first, other)
    low, high = comparison["overall"]["ci95"]
    assert low < 0 < high
    assert comparison["overall"]["mean_difference"] != 0.0
    same = compared(user, first, first)
    assert all(pair["difference"] == 0.0 for pair in same["pairs"])
    for group in (same["overall"], *same["categories"].values()):
        assert (group["mean_difference"], group["ci95"], group["sign_test_p"]) == (0.0, [0.0, 0.0], None)

    report = user.report()
    assert problems(report) == []
    variance = report["variance"]
    assert (variance["num_pairs"], variance["samples_per_pair"], variance["reward_passes"]) == (8, 2, 2)
    assert variance["judging"] == {"variance": 0.0, "std": 0.0, "estimate": 0.0, "includes": []}
    assert variance["editing"]["variance"] > 1, "the score is another one for each seed"
    assert variance["se_repeat"] > 0
    assert report["category_statistics"]["spatial"]["combine"] == "mean"
    assert report["category_statistics"]["spatial"]["aspects"].keys() == {"look", "sense"}
    assert report["overall"]["aspects"]["look"]["num_samples"] == 4, "the other category has one question"


@pytest.mark.slow
@pytest.mark.warm
def test_human_scores_are_in_the_report_and_survive_a_resume(
    user: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(user, user.simulated(small_benchmark(tmp_path / "data.json")))
    pairs = user.report()["pairs"]
    people = tmp_path / "people.csv"
    lines = [f"{pair['category']};{pair['pair_id']};{pair['score']:.2f}".replace(".", ",") for pair in pairs]
    people.write_text("\ufeffCategory;Pair_ID;Score\r\n" + "\r\n".join([*lines, "物理;<b>\x1b[31m|;1"]))

    assert main(["report", str(user.run_folder()), "--human-scores", str(people)]) == 0
    shows_safely(capsys.readouterr().out)
    report = user.report()
    assert problems(report) == []
    agreement = report["agreement"]
    assert agreement["overall"]["num_pairs"] == 8
    assert agreement["categories"]["spatial"]["spearman"] == {"value": 1.0, "ci95": None}
    assert agreement["unmatched"] == [{"line": 10, "category": "物理", "pair_id": "<b>\x1b[31m|", "sample": None}]
    (markdown,) = user.output.glob("*.md")
    text = markdown.read_text(encoding="utf-8")
    assert "- Not Matched: 物理/&lt;b&gt;\\\\x1b\\[31m&#124; (line 10)" in text
    shows_safely(text)
    people.unlink()
    assert user.run_config(tmp_path / "bench.yaml", "--resume", run).code == 0
    assert user.report()["agreement"] == agreement, "the run itself remembers the file"
