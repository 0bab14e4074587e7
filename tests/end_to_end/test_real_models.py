"""The whole of a run on the real diffusers and transformers classes, over tiny models: in processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.pool import read_worker_cards
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


def run_warm(user: User, config: Path, pool: str = "plain", *arguments: str | Path) -> Result:
    return user.run_config(config, "--keep-warm", "--pool", pool, *arguments)


def scores(user: User) -> dict[str, float]:
    return {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}


def test_the_edits_are_the_same_for_any_number_of_workers_and_any_order_and_nothing_is_left(
    user: User, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, models: tuple[Path, Path]
) -> None:
    pairs = [pair(number, encoded(picture((40 + 4 * number, 40)))) for number in range(5)]
    data = write_data(tmp_path / "data.json", {"c": pairs})
    assert run_warm(user, real(user, data, models)).code == 0
    expected, first_scores = user.hashes(), scores(user)
    assert len(set(expected.values())) == 5

    def assert_same(other: User) -> None:
        assert other.hashes() == expected
        assert scores(other) == pytest.approx(first_scores, abs=1e-4), "batches may differ, scores may not"

    backwards = write_data(tmp_path / "backwards.json", {"c": pairs[::-1]})
    assert run_warm(user, real(user, backwards, models, editor={"enable_batch_sync": False})).code == 0
    assert_same(user)

    # One editor, in a pool of its own that has no reward; the warm one has.
    alone = real(user, backwards, models, editor={"device_ids": ["cpu"], "enable_batch_sync": True})
    assert user.run_config(alone, "--pool", "one", "--stages", "edit").code == 0
    assert run_warm(user, alone, "plain", "--stages", "score", "--resume", "latest").code == 0
    assert_same(user)

    with new_user(tmp_path_factory.mktemp("three")) as other:
        result = other.run_config(real(other, data, models, editor={"device_ids": ["cpu", "cpu", "cpu"]}))
        assert result.code == 0, result.output
        assert_same(other)
        report = other.report()
        assert report["status"] == "COMPLETE"
        assert report["provenance"]["scoring_methods"] == {"logits": 5}
        assert any("random weights" in note for note in report["notes"]), "such scores mean nothing, and it says so"
        assert all(0 <= score <= 10 for score in scores(other).values())
        versions = report["provenance"]["workers"][0]["versions"]
        assert {"python", "torch", "diffusers", "transformers"} <= set(versions)
        assert other.left_over() == []


def test_models_move_off_and_onto_the_device_when_the_stages_take_turns(
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
    user: User, tmp_path: Path, models: tuple[Path, Path], other_tiny_editor_path: Path
) -> None:
    other = other_tiny_editor_path
    config = real(user, small_benchmark(tmp_path / "data.json", pairs=1), models)
    assert run_warm(user, config).code == 0
    first = user.hashes()
    pids = {card.worker_id: card.pid for card in read_worker_cards(user.home / "plain")}

    second: dict[str, str] = {}
    for checkpoint in (other, models[0], other, models[0]):
        result = run_warm(user, config, "plain", "--editor-model", checkpoint)
        assert result.code == 0, result.output
        assert "reward-0: loading" not in result.output, "the reward stays as it is"
        if checkpoint == other:
            assert user.hashes() not in ({}, first)
            second = second or user.hashes()
        assert user.hashes() == (first if checkpoint == models[0] else second)
    assert {card.worker_id: card.pid for card in read_worker_cards(user.home / "plain")} == pids


def test_weights_that_changed_on_disk_are_loaded_again(
    user: User, tmp_path: Path, models: tuple[Path, Path], other_tiny_editor_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(models[0], folder)
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    config = real(user, data, (folder, models[1]))
    assert run_warm(user, config, "plain", "--stages", "edit").code == 0
    first = user.hashes()
    for path in sorted(folder.glob("*/*.safetensors")):
        path.unlink()
    shutil.copytree(other_tiny_editor_path, folder, dirs_exist_ok=True)
    result = run_warm(user, config, "plain", "--stages", "edit")

    assert result.code == 0, result.output
    assert "files have changed" in result.output
    assert user.hashes() != first, "what is reported is what lies in the folder now"


def test_replies_are_generated_and_parsed_and_an_unreadable_one_is_no_score(
    user: User, tmp_path: Path, tiny_editor_path: Path, tiny_trained_reward_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    models = (tiny_editor_path, tiny_trained_reward_path)
    settings = {"scoring": "generate", "max_new_tokens": 48, "batch_size": 2}
    result = run_warm(user, real(user, data, models, reward=settings))

    assert result.code == 0, result.output
    rows = user.rows("scored")
    assert {row["method"] for row in rows} == {"json"}
    assert all("score" in row["response"] for row in rows)

    result = run_warm(user, real(user, data, models, reward={**settings, "max_new_tokens": 2}))

    assert result.code == 3, result.output
    assert {failure["kind"] for failure in user.report()["failures"]} == {"unreadable_reply"}
    assert user.report()["summary"]["overall_mean"] is None
