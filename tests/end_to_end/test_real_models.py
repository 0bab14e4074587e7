"""The whole of a run on the real diffusers and transformers classes, over tiny models: in processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.pool import read_worker_cards
from scripts.tiny_models.editor import build_editor
from tests.harness import Result, User, encoded, new_user, pair, picture, small_benchmark, write_data

pytestmark = pytest.mark.slow


def real(
    user: User,
    data: Path,
    models: tuple[Path, Path],
    *,
    editor: Mapping[str, Any] | None = None,
    reward: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Path:
    """A config with the tiny models, small and quick."""
    return user.config(
        benchmark={"data_path": str(data)},
        diffusion_model={
            "type": "multi_gpu_qwen_image_edit",
            "params": {
                "model_name": str(models[0]),
                "device_ids": ["cpu", "cpu"],
                "dtype": "float32",
                "num_inference_steps": 2,
                "height": 128,
                "width": 160,
                **(editor or {}),
            },
        },
        reward_model={
            "type": "qwen3_vl",
            "params": {
                "model_name": str(models[1]),
                "device": "cpu",
                "dtype": "float32",
                "scoring": "logits",
                "max_pixels": 12544,
                **(reward or {}),
            },
        },
        **sections,
    )


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """One user for all tests here, with pools that stay warm: the real libraries take seconds to import."""
    with new_user(tmp_path_factory.mktemp("real")) as made:
        yield made


@pytest.fixture(scope="module")
def models(tiny_editor_path: Path, tiny_reward_path: Path) -> tuple[Path, Path]:
    return tiny_editor_path, tiny_reward_path


def run_warm(user: User, config: Path, pool: str = "plain") -> Result:
    return user.run_config(config, "--keep-warm", "--pool", pool)


def scores(user: User) -> dict[str, float]:
    return {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}


def test_all_pairs_are_edited_and_scored_and_nothing_is_left(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    result = user.run_config(real(user, small_benchmark(tmp_path / "data.json"), models))

    assert result.code == 0, result.output
    report = user.report()
    assert report["status"] == "COMPLETE"
    assert report["provenance"]["scoring_methods"] == {"logits": 8}
    assert any("random weights" in note for note in report["notes"]), "such scores carry no meaning, and it says so"
    assert all(0 <= score <= 10 for score in scores(user).values())
    versions = report["provenance"]["workers"][0]["versions"]
    assert {"python", "torch", "diffusers", "transformers"} <= set(versions)
    assert user.left_over() == []


def test_the_edits_are_the_same_however_many_workers_and_in_any_order(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    pairs = [pair(number, encoded(picture((40 + 4 * number, 40)))) for number in range(5)]
    data = write_data(tmp_path / "data.json", {"c": pairs})
    assert run_warm(user, real(user, data, models)).code == 0
    expected, first_scores = user.hashes(), scores(user)
    assert len(set(expected.values())) == 5

    backwards = write_data(tmp_path / "backwards.json", {"c": pairs[::-1]})
    for source, settings, pool in (
        (backwards, {"enable_batch_sync": False}, "plain"),
        (backwards, {"device_ids": ["cpu"], "enable_batch_sync": True}, "one"),
        (data, {"device_ids": ["cpu", "cpu", "cpu"]}, "three"),
    ):
        assert run_warm(user, real(user, source, models, editor=settings), pool).code == 0
        assert user.hashes() == expected, f"{settings}"
        assert scores(user) == pytest.approx(first_scores, abs=1e-4), "batches may differ, scores may not"


def test_models_are_moved_off_and_onto_the_device_when_the_stages_take_turns(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    assert run_warm(user, real(user, data, models)).code == 0
    hashes, expected = user.hashes(), scores(user)

    result = run_warm(user, real(user, data, models, scheduler={"residency": "swap"}))

    assert result.code == 0, result.output
    assert user.hashes() == hashes
    assert scores(user) == pytest.approx(expected, abs=1e-4)
    assert user.report()["performance"]["model_switches"] == 1


def test_the_reward_sees_the_source_too_when_it_compares(user: User, tmp_path: Path, models: tuple[Path, Path]) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    assert run_warm(user, real(user, data, models)).code == 0
    alone = scores(user)
    assert run_warm(user, real(user, data, models, reward={"compare_with_original": True})).code == 0

    assert scores(user) != alone


def test_checkpoint_after_checkpoint_runs_in_the_same_processes(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    other = tmp_path / "other-checkpoint"
    build_editor(other, seed=1)
    config = real(user, small_benchmark(tmp_path / "data.json", pairs=1), models)
    assert run_warm(user, config).code == 0
    first = user.hashes()
    pids = {card.worker_id: card.pid for card in read_worker_cards(user.home / "plain")}

    second: dict[str, str] = {}
    for checkpoint in (other, models[0], other, models[0]):
        result = user.run_config(config, "--keep-warm", "--pool", "plain", "--editor-model", checkpoint)
        assert result.code == 0, result.output
        assert "reward-0: loading" not in result.output, "the reward stays as it is"
        if checkpoint == other:
            assert user.hashes() not in ({}, first)
            second = second or user.hashes()
        assert user.hashes() == (first if checkpoint == models[0] else second)
    assert {card.worker_id: card.pid for card in read_worker_cards(user.home / "plain")} == pids


def test_weights_that_change_on_disk_are_loaded_anew(user: User, tmp_path: Path, models: tuple[Path, Path]) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(models[0], folder)
    config = real(user, small_benchmark(tmp_path / "data.json", pairs=1), (folder, models[1]))
    # All editors have loaded before anything changes.
    assert user.run("workers", "start", "--config", config, "--pool", "changing").code == 0
    assert run_warm(user, config, "changing").code == 0
    first = user.hashes()
    for path in sorted(folder.glob("*/*.safetensors")):
        path.unlink()
    build_editor(tmp_path / "fresh", seed=1)
    shutil.copytree(tmp_path / "fresh", folder, dirs_exist_ok=True)
    result = run_warm(user, config, "changing")

    assert result.code == 0, result.output
    assert "files have changed" in result.output
    assert user.hashes() != first, "what is reported is what lies in the folder now"


def test_replies_are_generated_and_read_and_what_cannot_be_read_is_no_score(
    user: User, tmp_path: Path, tiny_editor_path: Path, tiny_trained_reward_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    models = (tiny_editor_path, tiny_trained_reward_path)
    settings = {"scoring": "generate", "max_new_tokens": 48, "batch_size": 2}
    result = run_warm(user, real(user, data, models, reward=settings), "generate")

    assert result.code == 0, result.output
    rows = user.rows("scored")
    assert {row["method"] for row in rows} == {"json"}
    assert all("score" in row["response"] for row in rows)

    result = run_warm(user, real(user, data, models, reward={**settings, "max_new_tokens": 2}), "generate")

    assert result.code == 3, result.output
    assert {failure["kind"] for failure in user.report()["failures"]} == {"unreadable_reply"}
    assert user.report()["summary"]["overall_mean"] is None
