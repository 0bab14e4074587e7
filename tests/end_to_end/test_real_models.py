"""The whole of a run on the real diffusers and transformers classes, over tiny models: in processes of their own."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from protocol.pool import read_worker_cards
from scripts.tiny_models.pipelines import build_pipeline
from tests.end_to_end.test_source_images import benchmark_of_several_images, official_prompts
from tests.harness import Result, User, encoded, new_user, pair, picture, small_benchmark, write_data
from tests.ray_nodes import ray_nodes
from tests.slurm_cluster import missing, slurm_cluster

pytestmark = pytest.mark.slow


def real(
    user: User,
    data: Path,
    models: tuple[Path, Path],
    *,
    editor: Mapping[str, Any] | None = None,
    reward: Mapping[str, Any] | None = None,
    name: str = "bench",
    kind: str = "multi_gpu_qwen_image_edit",
    **sections: Any,
) -> Path:
    """A config with the tiny models, small and quick."""
    sections.setdefault("benchmark", {"data_path": str(data)})
    return user.config(
        name,
        diffusion_model={
            "type": kind,
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
    """One user for all tests here, with a pool that stays warm: the real libraries take seconds to import.

    Nothing is left of its processes once it is stopped.
    """
    with new_user(tmp_path_factory.mktemp("real")) as made:
        yield made
        assert made.check("workers", "stop", "--pool", "plain").code == 0
        assert made.left_over() == []


@pytest.fixture(scope="module")
def models(tiny_editor_path: Path, tiny_reward_path: Path) -> tuple[Path, Path]:
    return tiny_editor_path, tiny_reward_path


def run_warm(user: User, config: Path, pool: str = "plain", *arguments: str | Path) -> Result:
    return user.run_config(config, "--keep-warm", "--pool", pool, *arguments)


def scores(user: User) -> dict[str, float]:
    return {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}


@contextlib.contextmanager
def placed_by_ray(user: User) -> Iterator[dict[str, Any]]:
    """The section of a pool whose workers Ray places, or one of this machine where there is no Ray."""
    if find_spec("ray") is None:
        yield {}
        return
    with ray_nodes(user.environment, number=1) as nodes:
        yield {"placer": "ray", "ray": {"address": nodes.address}}


@contextlib.contextmanager
def placed_by_slurm(user: User) -> Iterator[dict[str, Any]]:
    """The same with Slurm."""
    if missing() is not None:
        yield {}
        return
    with slurm_cluster() as cluster:
        user.environment |= {name: cluster.environment[name] for name in ("SLURM_CONF", "SLURM_TIME_FORMAT")}
        yield {"placer": "slurm", "slurm": {"cpus": 1}}


def test_the_edits_are_the_same_for_any_number_of_workers_any_order_and_any_placer(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    pairs = [pair(number, encoded(picture((40 + 4 * number, 40)))) for number in range(5)]
    data = write_data(tmp_path / "data.json", {"c": pairs})
    assert run_warm(user, real(user, data, models)).code == 0
    expected, first_scores = user.hashes(), scores(user)
    assert len(set(expected.values())) == 5
    report = user.report()
    assert report["status"] == "COMPLETE"
    assert report["provenance"]["scoring_methods"] == {"logits": 5}
    assert any("random weights" in note for note in report["notes"]), "such scores mean nothing, and it says so"
    assert all(0 <= score <= 10 for score in first_scores.values())
    versions = report["provenance"]["workers"][0]["versions"]
    assert {"python", "torch", "diffusers", "transformers"} <= set(versions)

    def assert_same() -> None:
        assert user.hashes() == expected
        assert scores(user) == pytest.approx(first_scores, abs=1e-4), "batches may differ, scores may not"

    backwards = write_data(tmp_path / "backwards.json", {"c": pairs[::-1]})
    assert run_warm(user, real(user, backwards, models, editor={"enable_batch_sync": False})).code == 0
    assert_same()

    # One editor, in a pool of its own that has no reward; the warm one has.
    one = {"device_ids": ["cpu"], "enable_batch_sync": True}
    for name, placed in (("rayed", placed_by_ray), ("slurmed", placed_by_slurm)):
        with placed(user) as pool:
            config = real(user, backwards, models, editor=one, pool=pool, name=name)
            assert user.run_config(config, "--pool", name, "--stages", "edit").code == 0
        assert all((":" in row["device"]) == bool(pool) for row in user.rows("edited")), "with the name of the host"
        assert user.hashes() == expected
    alone = real(user, backwards, models, editor=one)
    assert run_warm(user, alone, "plain", "--stages", "score", "--resume", "latest").code == 0
    assert_same()


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
    data = small_benchmark(tmp_path / "data.json", pairs=1)
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


def test_pipelines_of_other_classes_take_turns_on_the_same_workers(
    user: User, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    classes = {"GlmImagePipeline": "float32", "ZImageOmniPipeline": "bfloat16"}
    pairs = [pair(number, encoded(picture((64 + 16 * number, 64)))) for number in range(3)]

    def edits(name: str, order: int) -> dict[str, str]:
        data = write_data(tmp_path / f"data{order}.json", {"c": pairs[::order]})
        editor = {"dtype": classes[name]}
        config = real(user, data, (tmp_path / name, models[1]), editor=editor, kind="diffusers")
        result = run_warm(user, config, "plain", "--stages", "edit")
        assert result.code == 0, result.output
        return user.hashes()

    for name in classes:
        build_pipeline(name, tmp_path / name)
    first = [edits(name, 1) for name in classes]
    assert all(len(set(hashes.values())) == len(pairs) for hashes in first)
    assert [edits(name, -1) for name in classes] == first


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
    data = small_benchmark(tmp_path / "data.json", pairs=1)
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


def test_a_sweep_loads_real_checkpoints_into_the_same_processes(
    user: User, tmp_path: Path, models: tuple[Path, Path], other_tiny_editor_path: Path
) -> None:
    config = real(user, small_benchmark(tmp_path / "data.json", pairs=1), models)
    assert run_warm(user, config, "plain", "--stages", "edit").code == 0
    sweep = ("--editor-models", models[0], other_tiny_editor_path, "--stages", "edit")
    result = run_warm(user, config, "plain", *sweep)

    assert result.code == 0, result.output
    assert result.output.count("loading the run's model in place") == 2, "each of two editors has loaded the second"
    assert result.output.count("Reading ahead: ") == 1, "the second one"
    (path,) = (user.output / "sweeps").glob("*/sweep.json")
    runs = [entry["run"] for entry in json.loads(path.read_text(encoding="utf-8"))["checkpoints"]]
    cards = [card for card in read_worker_cards(user.home / "plain") if card.role == "editor"]
    started = [psutil.Process(card.pid).create_time() for card in cards]
    assert len(started) == 2
    hashes = []
    for run in runs:
        lines = (user.output / "runs" / run / "results.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["event"] == "edited"]
        hashes.append({row["sha256"] for row in rows})
        assert len(rows) == 2
        assert all(max(started) < row["started"] for row in rows)
    assert not hashes[0] & hashes[1], "they are two checkpoints"


def test_a_benchmark_with_several_images_runs_through_its_protocol(
    user: User, tmp_path: Path, tiny_plus_editor_path: Path, tiny_trained_reward_path: Path
) -> None:
    data = benchmark_of_several_images(tmp_path)
    result = run_warm(
        user,
        real(
            user,
            data,
            (tiny_plus_editor_path, tiny_trained_reward_path),
            editor={"images": "all"},
            reward={"scoring": "generate", "max_new_tokens": 24},
            benchmark={"data_path": str(data), "protocol": "kris", "official": str(official_prompts(tmp_path))},
        ),
    )
    assert result.code == 0, result.output
    answers = [
        (row["pair_id"], *row["dimensions"], json.loads(row["response"])["score"]) for row in user.rows("answered")
    ]
    names = ("consistency_score", "instruction_score", "quality_score")
    assert {answer[:2] for answer in answers} == {(pair_id, name) for pair_id in "12" for name in names}
    assert all(1 <= score <= 5 for *_, score in answers), "the digits that the official script would find"
    official_numbers = user.report()["official"]["numbers"]
    assert official_numbers["Overall/AVG"] == pytest.approx(sum(25 * (score - 1) for *_, score in answers) / 6)
