"""The configs of the old system load as they are, and what they leave out comes from their scheme's defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config.layout import Gpu, resolve_layout
from scheduler.config.requests import edit_parameters
from tests.scheduler.config.written import load

SINGLE_GPU = """
diffusion_model:
  type: "qwen_image_edit"
  params:
    device: "cuda"

reward_model:
  type: "qwen3_vl"
  params:
    device: "auto"
"""

MULTI_GPU = """
diffusion_model:
  type: "multi_gpu_qwen_image_edit"
  params:
    device_ids: [0, 1, 2, 3, 4, 5]
    enable_batch_sync: true

reward_model:
  type: "qwen3_vl"
  params:
    use_batch_inference: true
    batch_size: 4
"""

MULTI_GPU_SUBPROCESS = """
diffusion_model:
  type: "multi_gpu_qwen_image_edit"
  params:
    device_ids: [0, 1, 2, 3, 4, 5]
    enable_batch_sync: true

reward_model:
  type: "qwen3_vl_subprocess"  # ← 关键差异
  params:
    conda_env: "qwen3_vl_env"  # ← 关键差异
    use_batch_inference: true
    batch_size: 4
"""

COMPLETE = """
# ===== Benchmark数据集配置 =====
benchmark:
  data_path: "/data2/yixuan/Benchmark/version_2_50_pair/version_2_with_imagesb64.json"
  categories:  # 五大类别
    - "物理"
    - "环境"
    - "社会"
    - "因果"
    - "指代"

# ===== 扩散编辑模型配置（多GPU） =====
diffusion_model:
  type: "multi_gpu_qwen_image_edit"
  class_path: "src.models.diffusion.implementations.multi_gpu_qwen_edit.MultiGPUQwenImageEditModel"
  params:
    # GPU配置
    model_name: "Qwen/Qwen-Image-Edit"
    device_ids: [0, 1, 2, 3, 4, 5]    # 使用的GPU ID列表
    dtype: "bfloat16"                  # 数据类型

    # 推理参数
    num_inference_steps: 50            # 去噪步数（越大质量越好，但越慢）
    true_cfg_scale: 4.0                # CFG scale（控制指令遵循程度）
    negative_prompt: " "               # 负面提示词
    seed: 0                            # 随机种子

    # 优化参数
    enable_batch_sync: true            # 批次同步（推荐true）
    disable_progress_bar: true         # 禁用单张图进度条

# ===== Reward评分模型配置 =====
reward_model:
  type: "qwen3_vl"
  class_path: "src.models.reward.implementations.qwen3_vl_reward.Qwen3VLRewardModel"
  params:
    # 模型配置
    model_name: "Qwen/Qwen3-VL-30B-Instruct"
    device: "auto"                     # 自动选择设备
    dtype: "bfloat16"

    # 生成参数
    max_new_tokens: 128                # 最大生成token数
    use_flash_attention: false         # Flash Attention 2
    compare_with_original: false       # 是否对比原图

    # 批量推理参数
    use_batch_inference: true          # 启用batch inference
    batch_size: 4                      # 批处理大小（2-8）

# ===== Prompt配置（五大类别） =====
prompts:
  物理:
    system_prompt: |
      你是一位专业的图像编辑质量评估专家...
    user_prompt_template: |
      原始图像描述：{original_description}
      编辑指令：{edit_instruction}
      请评估编辑后的图像质量...

  环境:
    system_prompt: |
      你是一位专业的图像编辑质量评估专家...
    user_prompt_template: |
      ...

# ===== 评估配置 =====
evaluation:
  metrics:
    - "mean"
    - "std"
    - "median"
    - "min"
    - "max"

  output_dir: "outputs"
  save_generated_images: false        # 是否保存编辑后的图像

# ===== 日志配置 =====
logging:
  level: "INFO"                       # DEBUG, INFO, WARNING, ERROR
  save_to_file: true
  log_dir: "outputs/logs"
"""

OTHER_SPELLING = """
# Diffusion编辑模型 (多GPU)
diffusion_model:
  type: "multi_gpu_qwen_edit"
  class_path: "src.models.diffusion.implementations.multi_gpu_qwen_edit.MultiGPUQwenImageEditModel"
  params:
    model_name: "Qwen/Qwen-Image-Edit"
    device_ids: [0, 1, 2, 3, 4, 5]  # 指定GPU
    dtype: "bfloat16"
    num_inference_steps: 50
"""

SIX = [Gpu(index, "a GPU", 80 << 30) for index in range(6)]


def test_the_single_gpu_fragment_shares_one_gpu(tmp_path: Path) -> None:
    config = load(tmp_path, SINGLE_GPU)
    assert config.diffusion_model.params.model_name == "Qwen/Qwen-Image-Edit"
    assert edit_parameters(config)["num_inference_steps"] == 50
    layout = resolve_layout(config, SIX[:1])
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


def test_the_complete_file_loads_with_a_notice_for_each_old_class(tmp_path: Path) -> None:
    config = load(tmp_path, COMPLETE)
    assert config.benchmark.categories == ("物理", "环境", "社会", "因果", "指代")
    assert [notice.split(":")[0] for notice in config.notices] == [
        "diffusion_model.class_path",
        "reward_model.class_path",
    ]
    assert config.diffusion_model.class_path is None
    assert config.evaluation.metrics == ("mean", "std", "median", "min", "max")
    assert config.log_dir == Path("outputs/logs")
    prompt = config.prompts.for_category("物理").templates[0].render("一只猫", "换成狗")
    assert prompt.user == "原始图像描述：一只猫\n编辑指令：换成狗\n请评估编辑后的图像质量...\n"


def test_the_other_spelling_of_the_type_means_the_same(tmp_path: Path) -> None:
    config = load(tmp_path, OTHER_SPELLING)
    assert config.diffusion_model.type == "multi_gpu_qwen_image_edit"
    assert len(config.notices) == 1
