"""The configs of the old system, key by key, without their comments."""

from __future__ import annotations

EDITOR_ON_ONE_GPU = """
diffusion_model:
  type: "qwen_image_edit"
  params:
    device: "cuda"
"""

EDITOR_ON_SIX_GPUS = """
diffusion_model:
  type: "multi_gpu_qwen_image_edit"
  params:
    device_ids: [0, 1, 2, 3, 4, 5]
    enable_batch_sync: true
"""

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
  type: "qwen3_vl_subprocess"
  params:
    conda_env: "qwen3_vl_env"
    use_batch_inference: true
    batch_size: 4
"""

STANDARD_SINGLE_GPU = """
diffusion_model:
  type: "qwen_image_edit"
  class_path: "src.models.diffusion.implementations.qwen_image_edit.QwenImageEditModel"
  params:
    model_name: "Qwen/Qwen-Image-Edit"
    device: "cuda"
    dtype: "bfloat16"
    num_inference_steps: 50
    true_cfg_scale: 4.0

reward_model:
  type: "qwen3_vl"
  class_path: "src.models.reward.implementations.qwen3_vl_reward.Qwen3VLRewardModel"
  params:
    model_name: "Qwen/Qwen3-VL-30B-Instruct"
    device: "auto"
    dtype: "bfloat16"
    use_batch_inference: true
    batch_size: 4
"""

OTHER_SPELLING = """
diffusion_model:
  type: "multi_gpu_qwen_edit"
  class_path: "src.models.diffusion.implementations.multi_gpu_qwen_edit.MultiGPUQwenImageEditModel"
  params:
    model_name: "Qwen/Qwen-Image-Edit"
    device_ids: [0, 1, 2, 3, 4, 5]
    dtype: "bfloat16"
    num_inference_steps: 50
"""

COMPLETE = """
benchmark:
  data_path: "/data2/yixuan/Benchmark/version_2_50_pair/version_2_with_imagesb64.json"
  categories:
    - "物理"
    - "环境"
    - "社会"
    - "因果"
    - "指代"

diffusion_model:
  type: "multi_gpu_qwen_image_edit"
  class_path: "src.models.diffusion.implementations.multi_gpu_qwen_edit.MultiGPUQwenImageEditModel"
  params:
    model_name: "Qwen/Qwen-Image-Edit"
    device_ids: [0, 1, 2, 3, 4, 5]
    dtype: "bfloat16"

    num_inference_steps: 50
    true_cfg_scale: 4.0
    negative_prompt: " "
    seed: 0

    enable_batch_sync: true
    disable_progress_bar: true

reward_model:
  type: "qwen3_vl"
  class_path: "src.models.reward.implementations.qwen3_vl_reward.Qwen3VLRewardModel"
  params:
    model_name: "Qwen/Qwen3-VL-30B-Instruct"
    device: "auto"
    dtype: "bfloat16"

    max_new_tokens: 128
    use_flash_attention: false
    compare_with_original: false

    use_batch_inference: true
    batch_size: 4

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

evaluation:
  metrics:
    - "mean"
    - "std"
    - "median"
    - "min"
    - "max"

  output_dir: "outputs"
  save_generated_images: false

logging:
  level: "INFO"
  save_to_file: true
  log_dir: "outputs/logs"
"""
