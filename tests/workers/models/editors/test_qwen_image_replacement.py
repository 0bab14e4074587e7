"""Another checkpoint in the place of the loaded one: the same memory, and the edits of a fresh load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protocol.messages import ModelSpec
from workers.interface import EditRequest, ModelError
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = pytest.mark.slow


def spec(folder: Path, dtype: str = "float32") -> ModelSpec:
    return ModelSpec(role="editor", type="qwen_image_edit", name=str(folder), params={"dtype": dtype})


def loaded(folder: Path) -> QwenImageEditEditor:
    editor = QwenImageEditEditor(spec(folder), "cpu")
    editor.load("device")
    return editor


def edit(editor: QwenImageEditEditor) -> np.ndarray:
    source = Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    parameters = {"num_inference_steps": 2, "true_cfg_scale": 4.0, "height": 64, "width": 64}
    made = editor.edit(EditRequest(source, "make it blue", 3, "a/1", parameters), lambda *_: None)
    pixels: np.ndarray = np.array(made, dtype=np.uint8)
    return pixels


def where(editor: QwenImageEditEditor) -> dict[str, int]:
    return {
        f"{part}.{name}": tensor.data_ptr()
        for part in ("transformer", "text_encoder", "vae")
        for name, tensor in getattr(editor._pipeline, part).named_parameters()
    }


def test_the_new_weights_take_the_place_of_the_old_ones(tiny_editor_path: Path, other_tiny_editor_path: Path) -> None:
    editor = loaded(tiny_editor_path)
    before = edit(editor)
    addresses = where(editor)

    assert editor.replace(spec(other_tiny_editor_path))

    assert where(editor) == addresses, "not one tensor was allocated anew"
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path)))
    assert not np.array_equal(edit(editor), before)
    assert editor.replace(spec(tiny_editor_path))
    assert np.array_equal(edit(editor), before), "and back"


def test_another_dtype_is_no_replacement(tiny_editor_path: Path, other_tiny_editor_path: Path) -> None:
    editor = loaded(tiny_editor_path)
    assert not editor.replace(spec(other_tiny_editor_path, "bfloat16"))
    assert editor.spec == spec(tiny_editor_path)


def test_a_component_of_another_shape_is_loaded_again(tiny_editor_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other-shape"
    shutil.copytree(tiny_editor_path, folder)
    config = json.loads((folder / "transformer" / "config.json").read_text())
    config["guidance_embeds"] = not config["guidance_embeds"]
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    editor = loaded(tiny_editor_path)
    before = editor._pipeline.transformer

    assert editor.replace(spec(folder))
    assert editor._pipeline.transformer is not before


def test_a_text_encoder_whose_configuration_an_older_library_wrote_is_the_same(
    tiny_editor_path: Path, other_tiny_editor_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(other_tiny_editor_path, folder)
    path = folder / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    rope = config["text_config"].pop("rope_parameters")
    config["text_config"]["rope_theta"] = rope["rope_theta"]
    config["text_config"]["rope_scaling"] = {"type": "default", "mrope_section": rope["mrope_section"]}
    config["vision_config"]["model_type"] = "qwen2_5_vl"
    del config["vision_config"]["rope_parameters"]
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config))
    editor = loaded(tiny_editor_path)
    before = editor._pipeline.text_encoder

    assert editor.replace(spec(folder))
    assert editor._pipeline.text_encoder is before, "it was not read anew"
    assert np.array_equal(edit(editor), edit(loaded(folder)))


def test_a_text_encoder_that_differs_deep_in_its_configuration_is_loaded_again(
    tiny_editor_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "other-eps"
    shutil.copytree(tiny_editor_path, folder)
    path = folder / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["rms_norm_eps"] = 1e-3
    path.write_text(json.dumps(config))
    editor = loaded(tiny_editor_path)
    before = editor._pipeline.text_encoder

    assert editor.replace(spec(folder))
    assert editor._pipeline.text_encoder is not before


def test_a_damaged_checkpoint_is_named(tiny_editor_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_editor_path, folder)
    weights = next((folder / "vae").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])

    with pytest.raises(ModelError, match="damaged"):
        loaded(tiny_editor_path).replace(spec(folder))
