"""What configs of every kind load, and what of it enters identities, is what was recorded.

With another value here, existing runs would do everything again. ``tests/recorded.py`` says how to record
``tests/data/identities.json`` again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol.messages import ModelSpec
from scheduler.config.requests import (
    edit_identity_parameters,
    edit_parameters,
    editor_spec,
    reward_spec,
    score_identity_parameters,
    score_parameters,
)
from tests.recorded import DATA, assert_as_recorded
from tests.scheduler.config.written import load
from workers.fingerprint import fingerprint

_EDITOR = (
    "dtype: float16, num_inference_steps: 8, true_cfg_scale: 1.5, negative_prompt: blurry, seed: 3, height: 512, "
    "width: 640, enable_batch_sync: false, disable_progress_bar: false, threads_per_worker: 2"
)
_REWARD = (
    "dtype: float32, scoring: logits, score_range: [1, 5], max_new_tokens: 9, use_flash_attention: true, "
    "compare_with_original: true, batch_size: 8, min_pixels: 100, max_pixels: 200, threads_per_worker: 3"
)
_SIMULATION = (
    "latency_ms: 5, sigma: 0.5, per_megapixel_ms: 2, load_seconds: 1, place_seconds: 0.5, burn_cpu: true, "
    "faults: {oom: [a/b], crash: 0.1}"
)
_OPTIMIZATIONS = (
    "optimizations: {compile_repeated_blocks: true, attention_backend: flash, keep_prompt_embeddings: true, "
    "taylorseer_cache: 4, lightning_lora: owner/name/file.safetensors}"
)
CONFIGS = {
    "defaults": "logging: {}",
    "qwen_image_edit": f"diffusion_model: {{type: qwen_image_edit, params: {{{_EDITOR}, {_OPTIMIZATIONS}}}}}",
    "multi_gpu_qwen_edit": f"diffusion_model: {{type: multi_gpu_qwen_edit, params: {{device_ids: [0, 1], {_EDITOR}}}}}",
    "cache and fp8": "diffusion_model: {params: {optimizations: {first_block_cache: 0.1, fp8: true}}}",
    "identity": f"diffusion_model: {{type: identity, params: {{{_EDITOR}, {_OPTIMIZATIONS}}}}}",
    "simulated editor": f"diffusion_model: {{type: simulated, params: {{{_EDITOR}, {_SIMULATION}}}}}",
    "own editor": f"diffusion_model: {{class_path: a.B, params: {{model_name: m, strength: 1, list: [x], {_EDITOR}}}}}",
    "qwen3_vl": f"reward_model: {{type: qwen3_vl, params: {{device: cpu, {_REWARD}}}}}",
    "qwen3_vl_subprocess": f"reward_model: {{type: qwen3_vl_subprocess, params: {{conda_env: a, {_REWARD}}}}}",
    "no batches": "reward_model: {params: {use_batch_inference: false}}",
    "simulated reward": (
        f"reward_model: {{type: simulated, params: {{{_REWARD}, {_SIMULATION}, per_item_ms: 1, prefers: change}}}}"
    ),
    "own reward": f"reward_model: {{class_path: a.C, params: {{temperature: 2, map: {{x: null}}, {_REWARD}}}}}",
}


def recorded_of(folder: Path, text: str) -> dict[str, Any]:
    config = load(folder, text)
    weights = folder / "weights.safetensors"
    weights.write_bytes(b"weights")

    def model(spec: ModelSpec) -> dict[str, Any]:
        fingerprints = [fingerprint(spec, files, folder / "cache") for files in ([], [str(weights)])]
        return {"spec": msgspec.to_builtins(spec), "fingerprint": fingerprints[0], "with files": fingerprints[1]}

    return {
        "editor": model(editor_spec(config)),
        "reward": model(reward_spec(config)),
        "edit": {"parameters": edit_parameters(config), "identity": edit_identity_parameters(config)},
        "score": {"parameters": score_parameters(config), "identity": score_identity_parameters(config)},
    }


def test_specs_parameters_and_fingerprints_are_as_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {name: recorded_of(tmp_path, text) for name, text in CONFIGS.items()}
    only_what_differs = {
        name: {part: value for part, value in parts.items() if name == "defaults" or value != found["defaults"][part]}
        for name, parts in found.items()
    }
    assert_as_recorded(DATA / "identities.json", json.dumps(only_what_differs, ensure_ascii=False, indent=1) + "\n")
