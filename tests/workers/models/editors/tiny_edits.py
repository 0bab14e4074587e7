"""Edits of a tiny Qwen-Image-Edit, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protocol.messages import ModelSpec
from workers.interface import EditRequest
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

# So many steps that the first-block cache finds two that are alike: the model's weights are random.
STEPS = 24


def spec(folder: Path, options: Any, **more: Any) -> ModelSpec:
    params = {"dtype": "float32", "threads_per_worker": 1, "optimizations": options, **more}
    return ModelSpec(role="editor", type="qwen_image_edit", name=str(folder), params=params)


def loaded(folder: Path, options: Any = None, **more: Any) -> QwenImageEditEditor:
    editor = QwenImageEditEditor(spec(folder, options or {}, **more), "cpu")
    editor.load("device")
    return editor


def picture(left: float = -2.0, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.effect_mandelbrot(size, (left, -1.5, 1, 1.5), 50).convert("RGB")


def request(
    source: Image.Image | None = None, instruction: str = "把圆形改成方形", seed: int = 42, steps: int = STEPS
) -> EditRequest:
    parameters = {"num_inference_steps": steps, "true_cfg_scale": 4.0, "height": 64, "width": 64}
    return EditRequest(source or picture(), instruction, seed, "a/1", parameters)


def edit(editor: QwenImageEditEditor, wanted: EditRequest | None = None) -> np.ndarray:
    made = editor.edit(wanted or request(), lambda *_: None)
    pixels: np.ndarray = np.array(made, dtype=np.int16)
    return pixels
