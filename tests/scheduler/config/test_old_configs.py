"""The configs of the old system load as they are, and what they leave out comes from their scheme's defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config.layout import Gpu, resolve_layout
from scheduler.config.requests import edit_parameters
from tests.scheduler.config.old_configs import COMPLETE, MULTI_GPU, MULTI_GPU_SUBPROCESS, OTHER_SPELLING, SINGLE_GPU
from tests.scheduler.config.written import load

SIX = [Gpu(index, "a GPU", 80 << 30) for index in range(6)]


def test_the_single_gpu_fragment_shares_one_gpu(tmp_path: Path) -> None:
    config = load(tmp_path, SINGLE_GPU)
    assert config.diffusion_model.params.model_name == "Qwen/Qwen-Image-Edit"
    assert edit_parameters(config)["num_inference_steps"] == 50
    for count in (1, 2, 6):
        layout = resolve_layout(config, SIX[:count])
        assert (layout.editors, layout.rewards, layout.residency) == (("cuda:0",), ("cuda:0",), "swap")


def test_the_multi_gpu_fragment_edits_and_scores_on_all_six(tmp_path: Path) -> None:
    layout = resolve_layout(load(tmp_path, MULTI_GPU), SIX)
    assert layout.editors == layout.rewards == tuple(f"cuda:{index}" for index in range(6))
    assert layout.residency == "swap"


def test_the_subprocess_fragment_names_its_environment(tmp_path: Path) -> None:
    config = load(tmp_path, MULTI_GPU_SUBPROCESS)
    assert config.reward_model.type == "qwen3_vl_subprocess"
    assert config.reward_model.params.model_dump()["conda_env"] == "qwen3_vl_env"
    assert config.reward_model.params.batch_size == 4


@pytest.mark.parametrize("text", [SINGLE_GPU, MULTI_GPU, MULTI_GPU_SUBPROCESS])
def test_a_fragment_has_every_default_of_the_complete_file(tmp_path: Path, text: str) -> None:
    fragment, complete = load(tmp_path, text), load(tmp_path, COMPLETE)
    editor, whole = fragment.diffusion_model.params.model_dump(), complete.diffusion_model.params.model_dump()
    devices = {name: whole[name] for name in ("device", "device_ids")}
    assert editor | devices == whole
    assert fragment.evaluation == complete.evaluation
    assert fragment.logging == complete.logging


def test_the_complete_file_loads_with_a_notice_for_each_old_class_and_the_rewards_name(tmp_path: Path) -> None:
    config = load(tmp_path, COMPLETE)
    assert config.benchmark.categories == ("物理", "环境", "社会", "因果", "指代")
    assert [notice.split(":")[0] for notice in config.notices] == [
        "diffusion_model.class_path",
        "reward_model.class_path",
        "reward_model.params.model_name",
    ]
    assert config.reward_model.params.model_name == "Qwen/Qwen3-VL-30B-A3B-Instruct"
    assert config.diffusion_model.class_path is None
    assert config.evaluation.metrics == ("mean", "std", "median", "min", "max")
    assert config.log_dir == Path("outputs/logs")
    prompt = config.prompts.for_category("物理").templates[0].render("一只猫", "换成狗")
    assert prompt.user == "原始图像描述：一只猫\n编辑指令：换成狗\n请评估编辑后的图像质量...\n"


def test_the_other_spelling_of_the_type_means_the_same(tmp_path: Path) -> None:
    config = load(tmp_path, OTHER_SPELLING)
    assert config.diffusion_model.type == "multi_gpu_qwen_image_edit"
    assert len(config.notices) == 1
