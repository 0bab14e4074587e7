"""One stage at a time: edits today, scores tomorrow, and together what both at once would have given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import User, small_benchmark


def scores(user: User) -> dict[str, float]:
    return {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}


def statuses(user: User) -> list[str]:
    return [pair["status"] for pair in user.report()["pairs"]]


def workers_of(output: str) -> set[str]:
    """The workers that were launched, as the log tells."""
    (line,) = (line for line in output.splitlines() if line.startswith("Launching pool "))
    return {word for word in line.split() if word.startswith(("editor-", "reward-"))}


def changed(config: Path, section: str, **values: Any) -> Path:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content[section]["params"].update(values)
    config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return config


@pytest.mark.slow
def test_edits_first_and_scores_later_give_what_both_at_once_give(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=3)
    config = user.simulated(data, evaluation={"save_generated_images": False})
    assert user.run_config(config).code == 0
    at_once = scores(user)

    first = user.run_config(config, "--stages", "edit")
    assert first.code == 0, first.output
    assert workers_of(first.output) == {"editor-0", "editor-1"}
    assert "they are kept" in first.output, "without scores the edits are all that there is"
    report = user.report()
    assert (report["status"], report["stages"]) == ("COMPLETE", ["edit"])
    assert (report["overall"]["mean"], report["overall"]["num_edited"]) == (None, 6)
    assert report["provenance"]["reward"] is None
    run = user.run_folder()
    assert len(list((run / "images").rglob("*.png"))) == 6
    assert f"--stages score --resume {run.name}" in first.output

    # The editor would now make other edits; who scores alone takes those that are there.
    changed(config, "diffusion_model", num_inference_steps=99)
    second = user.run_config(config, "--stages", "score", "--resume", run.name)
    assert second.code == 0, second.output
    assert workers_of(second.output) == {"reward-0"}
    assert "changed: " not in second.output
    assert scores(user) == at_once
    report = user.report()
    assert (report["status"], report["stages"]) == ("COMPLETE", ["score"])
    assert {worker["role"] for worker in report["provenance"]["workers"]} == {"editor", "reward"}
    assert report["provenance"]["editor"]["parameters"]["num_inference_steps"] != 99
    assert [note.split(":")[0] for note in report["notes"]] == ["The editor is simulated", "The reward is simulated"]
    assert [part["stages"] for part in report["provenance"]["earlier_parts"]] == [["edit"]]
    assert not list((run / "images").rglob("*.png")), "scored, they are removed as the config says"
    assert user.left_over() == []


@pytest.mark.slow
@pytest.mark.warm
def test_a_pair_whose_edit_is_missing_stays_missing_until_it_is_edited(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2), editor={"faults": {"error": ["物理/0"]}})
    assert user.run_config(config, "--stages", "edit").code == 3
    (user.run_folder() / "images" / "spatial" / "0.png").unlink()

    result = user.run_config(config, "--stages", "score", "--resume", "latest")
    assert result.code == 3, result.output
    assert "Edits that are missing, and are not made: 2" in result.output
    assert statuses(user) == ["failed", "scored", "missing", "scored"]

    changed(config, "diffusion_model", faults={})
    result = user.run_config(config, "--resume", "latest")
    assert result.code == 0, result.output
    assert "Reused: 2 of 4 edits, 2 of 4 scores" in result.output
    assert statuses(user) == ["scored"] * 4


@pytest.mark.slow
def test_on_a_warm_pool_that_shares_devices_the_other_stages_models_make_room(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=2), editor={"device_ids": [0, 1]}, reward={"device": "auto"}
    )
    assert user.run("workers", "start", "--config", config).code == 0
    edits = user.run_config(config, "--stages", "edit")
    assert edits.code == 0, edits.output
    assert "moved to" in edits.output
    assert "reward" not in "".join(line for line in edits.output.splitlines() if "moved to" in line)
    result = user.run_config(config, "--stages", "score", "--resume", "latest")
    assert result.code == 0, result.output
    moves = [line.split(" in ")[0] for line in result.output.splitlines() if "model moved to" in line]
    assert len(moves) == 4
    for number in range(2):
        leaves, comes = f"editor-{number}: model moved to host", f"reward-{number}: model moved to device"
        assert moves.index(leaves) < moves.index(comes), "nobody comes before the other has left"
    assert user.check("workers", "stop", "--config", config).code == 0


def test_scores_need_edits_and_stages_need_names(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    alone = user.check_config(config, "--stages", "score")
    assert alone.code == 2
    assert "--resume RUN" in alone.output
    assert "warmbench score --images" in alone.output
    who = user.check_config(config, "--stages", "score", "--resume", "latest", "--editor-model", "other")
    assert who.code == 2
    assert "--editor-model names an editor" in who.output
    wrong = user.check_config(config, "--stages", "edit,judge")
    assert wrong.code == 2
    assert "'edit,judge' is none of: edit, score, edit,score" in wrong.output
    assert not user.output.exists()


@pytest.mark.slow
def test_a_stage_that_is_not_asked_for_needs_no_model(user: User, tmp_path: Path) -> None:
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=1))},
        diffusion_model={"type": "simulated", "params": {"device_ids": ["cpu"]}},
        reward_model={"type": "qwen3_vl_subprocess", "params": {"model_name": "/gone", "python": "/nowhere/python"}},
    )
    both = user.run_config(config, "--dry-run")
    assert both.code == 2
    assert "reward_model.params" in both.output
    result = user.run_config(config, "--dry-run", "--stages", "edit")
    assert result.code == 0, result.output
    assert "Stages: edit" in result.output
    assert "Reward:" not in result.output
    assert user.run_config(config, "--stages", "edit").code == 0


@pytest.mark.slow
def test_a_pool_for_one_stage_alone_says_what_it_lacks(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    assert user.run_config(config, "--stages", "edit", "--keep-warm").code == 0
    result = user.run_config(config)
    assert result.code == 1
    assert "the pool has no reward: it was launched for editing alone" in result.output
    assert user.check("workers", "stop", "--config", config).code == 0
