"""Dry runs on machines with GPUs and without NVML: of the old system's configs, and of what nobody can check."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.commands.main import main
from tests.fake_nvml import remove_nvml, show_gpus
from tests.harness import encoded, pair, picture, write_data
from tests.scheduler.config import old_configs

EDITOR = "Qwen/Qwen-Image-Edit"
REWARD = "Qwen/Qwen3-VL-30B-A3B-Instruct"
SIX = ", ".join(f"cuda:{index}" for index in range(6))
MISSING_MODELS = ["diffusion_model.params.model_name", "reward_model.params.model_name"]


@dataclass(frozen=True)
class DryRun:
    """How a dry run ended; ``problems`` are the keys of what is wrong."""

    code: int
    lines: list[str]
    errors: list[str]

    @property
    def problems(self) -> list[str]:
        return [line.strip().split(":")[0] for line in self.errors[1:] if line.startswith("  ") and line[2] != " "]

    def line(self, beginning: str) -> str:
        """What follows the beginning of the only line that begins so."""
        (found,) = [line.removeprefix(beginning) for line in self.lines if line.startswith(beginning)]
        return found


Try = Callable[..., DryRun]


@pytest.fixture
def dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Try:
    """Dry runs in a folder without models, where a benchmark has the old system's five categories."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    categories = {name: [pair(1, encoded(picture((48, 32))))] for name in ("物理", "环境", "社会", "因果", "指代")}
    data = write_data(tmp_path / "data.json", categories)

    def run(text: str, *arguments: str) -> DryRun:
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        code = main(["run", "--config", "config.yaml", "--data", str(data), "--dry-run", *arguments])
        output, errors = capsys.readouterr()
        return DryRun(code, output.splitlines(), errors.splitlines())

    return run


@pytest.fixture
def reward_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conda environment of the old system's isolated reward: the Python of the tests, by another path."""
    python = tmp_path / "envs" / "qwen3_vl_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))


ONE = (f"qwen_image_edit {EDITOR} on cuda:0", f"qwen3_vl {REWARD} on cuda:0", "swap")
ALL = (f"multi_gpu_qwen_image_edit {EDITOR} on {SIX}", f"qwen3_vl {REWARD} on {SIX}", "swap")
ISOLATED = (ALL[0], f"qwen3_vl_subprocess {REWARD} on {SIX}", "swap")


@pytest.mark.usefixtures("reward_environment")
@pytest.mark.parametrize(
    ("text", "layout"),
    [
        pytest.param(old_configs.EDITOR_ON_ONE_GPU, ONE, id="editor on one GPU"),
        pytest.param(old_configs.SINGLE_GPU, ONE, id="single GPU"),
        pytest.param(old_configs.STANDARD_SINGLE_GPU, ONE, id="standard single GPU"),
        pytest.param(old_configs.EDITOR_ON_SIX_GPUS, ALL, id="editor on six GPUs"),
        pytest.param(old_configs.MULTI_GPU, ALL, id="multi GPU"),
        pytest.param(old_configs.MULTI_GPU_SUBPROCESS, ISOLATED, id="multi GPU, isolated"),
        pytest.param(old_configs.OTHER_SPELLING, ALL, id="other spelling"),
        pytest.param(old_configs.COMPLETE, ALL, id="complete"),
    ],
)
def test_an_old_file_has_its_layout_on_six_gpus_and_lacks_only_models(
    dry_run: Try, monkeypatch: pytest.MonkeyPatch, text: str, layout: tuple[str, str, str]
) -> None:
    show_gpus(monkeypatch, 6)
    result = dry_run(text)
    assert result.code == 2
    assert result.problems == MISSING_MODELS
    assert (result.line("Editor: "), result.line("Reward: "), result.line("Residency: ")) == layout
    renamed = [line for line in result.lines if "Qwen/Qwen3-VL-30B-Instruct is called" in line]
    assert len(renamed) == ("Qwen3-VL-30B-Instruct" in text)


PARAMS = ("diffusion_model", "params")


@pytest.mark.parametrize(
    ("at", "values", "editors", "rewards"),
    [
        (PARAMS, {"device_ids": [0]}, "cuda:0", "cuda:1"),
        (PARAMS, {"device_ids": [0, 1]}, "cuda:0, cuda:1", "cuda:2"),
        (PARAMS, {"device_ids": [0, 1, 2]}, "cuda:0, cuda:1, cuda:2", "cuda:3"),
        (PARAMS, {"device_ids": [0, 1, 2, 3]}, "cuda:0, cuda:1, cuda:2, cuda:3", "cuda:4"),
        (PARAMS, {"enable_batch_sync": False}, SIX, SIX),
        (PARAMS, {"num_inference_steps": 30}, SIX, SIX),
        (PARAMS, {"model_name": "/absolute/path/to/model"}, SIX, SIX),
        (("reward_model", "params"), {"batch_size": 16}, SIX, SIX),
        (("benchmark",), {"categories": ["物理"]}, SIX, SIX),
        (("evaluation",), {"save_generated_images": True, "image_output_dir": "outputs/edited_images"}, SIX, SIX),
        (("logging",), {"level": "DEBUG"}, SIX, SIX),
    ],
)
def test_the_changes_that_the_old_documents_describe_lack_only_models(
    dry_run: Try,
    monkeypatch: pytest.MonkeyPatch,
    at: tuple[str, ...],
    values: dict[str, Any],
    editors: str,
    rewards: str,
) -> None:
    show_gpus(monkeypatch, 6)
    config = yaml.safe_load(old_configs.COMPLETE)
    section = config
    for name in at:
        section = section[name]
    section |= values
    result = dry_run(yaml.safe_dump(config, allow_unicode=True))
    assert result.problems == MISSING_MODELS
    assert result.line("Editor: ").endswith(f" on {editors}")
    assert result.line("Reward: ").endswith(f" on {rewards}")
    chosen = f"Notice: reward_model.params.device: auto is {rewards}, the lowest visible GPU that no editor uses"
    assert (chosen in result.lines) == (editors != rewards)


def with_models(text: str, editor: Path, reward: Path) -> str:
    """The config with models that are here."""
    config = yaml.safe_load(text)
    config["diffusion_model"]["params"]["model_name"] = str(editor)
    config["reward_model"]["params"]["model_name"] = str(reward)
    return yaml.safe_dump(config, allow_unicode=True)


def test_an_old_file_whose_models_are_there_is_ready(
    dry_run: Try, monkeypatch: pytest.MonkeyPatch, tiny_editor_path: Path, tiny_reward_path: Path
) -> None:
    show_gpus(monkeypatch, 6)
    text = with_models(old_configs.COMPLETE, tiny_editor_path, tiny_reward_path)
    result = dry_run(text, "--output-dir", "my_results", "--categories", "物理", "环境", "--debug")
    assert (result.code, result.errors) == (0, [])
    assert result.line("Output: ") == "my_results"
    assert "All 2 pairs are good. Nothing was run." in result.lines
    assert not any("not checked" in line for line in result.lines)


def test_a_gpu_that_nvml_does_not_list_is_a_problem(
    dry_run: Try, monkeypatch: pytest.MonkeyPatch, tiny_editor_path: Path, tiny_reward_path: Path
) -> None:
    show_gpus(monkeypatch, 5)
    result = dry_run(with_models(old_configs.COMPLETE, tiny_editor_path, tiny_reward_path))
    assert result.code == 2
    assert result.problems == ["diffusion_model.params.device_ids"]
    assert "there is no cuda:5: visible are cuda:0, cuda:1, cuda:2, cuda:3, cuda:4" in result.errors[1]


ALL_GPUS = "diffusion_model: {type: multi_gpu_qwen_image_edit, params: {}}\nreward_model: {type: qwen3_vl, params: {}}"


@pytest.mark.parametrize(
    ("text", "editors", "rewards"),
    [
        (old_configs.COMPLETE, SIX, SIX),
        (old_configs.STANDARD_SINGLE_GPU, "cuda:0", "cuda:0"),
        (ALL_GPUS, "all visible GPUs but the reward's", "a visible GPU"),
    ],
)
def test_without_nvml_devices_are_not_checked_and_the_rest_decides(
    dry_run: Try,
    monkeypatch: pytest.MonkeyPatch,
    tiny_editor_path: Path,
    tiny_reward_path: Path,
    text: str,
    editors: str,
    rewards: str,
) -> None:
    remove_nvml(monkeypatch)
    result = dry_run(with_models(text, tiny_editor_path, tiny_reward_path))
    assert (result.code, result.errors) == (0, [])
    assert result.line("Editor: ").endswith(f" on {editors} (not checked)")
    assert result.line("Reward: ").endswith(f" on {rewards} (not checked)")
    assert result.line("Residency: ").endswith(" (not checked)")
    assert result.line("Devices: ") == "not checked, as NVML cannot be used here: NVML Shared Library Not Found"


def test_without_nvml_a_dry_run_still_finds_bad_pairs_and_missing_models(
    dry_run: Try, monkeypatch: pytest.MonkeyPatch, tiny_editor_path: Path, tiny_reward_path: Path
) -> None:
    remove_nvml(monkeypatch)
    missing = dry_run(old_configs.COMPLETE)
    assert (missing.code, missing.problems) == (2, MISSING_MODELS)
    assert missing.line("Editor: ").endswith("(not checked)")
    good = pair(1, encoded(picture((48, 32))))
    write_data(Path("data.json"), {"物理": [good, pair(2, "no image")]})
    assert dry_run(with_models(ALL_GPUS, tiny_editor_path, tiny_reward_path)).code == 3


def test_a_run_itself_still_needs_nvml(
    dry_run: Try, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_editor_path: Path
) -> None:
    remove_nvml(monkeypatch)
    config = f"diffusion_model: {{params: {{model_name: {tiny_editor_path}}}}}\nreward_model: {{type: simulated}}"
    assert dry_run(config).code == 0
    assert main(["run", "--config", "config.yaml", "--data", "data.json"]) == 2
    assert "diffusion_model.params.device: there is no cuda:0: no GPU is visible" in capsys.readouterr().err


def test_devices_that_are_certain_need_no_nvml(dry_run: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_nvml(monkeypatch)
    result = dry_run(
        "diffusion_model: {type: simulated, params: {device_ids: [0, 1]}}\nreward_model: {type: simulated}"
    )
    assert result.code == 0
    assert result.line("Reward: ") == "simulated simulated on cuda:0, cuda:1"
    assert not any("not checked" in line for line in result.lines)
