"""Another checkpoint in the place of the loaded one: the same modules, and the edits of a fresh load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from protocol.messages import ModelSpec
from scripts.mover.models import SecondCopyEditor
from workers.interface import EditRequest, ModelError
from workers.models.editors.qwen_image_edit import QwenImageEditEditor
from workers.models.editors.qwen_image_loading import MODULES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]


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


def test_the_same_modules_work_with_the_pages_of_the_new_files(
    tiny_editor_path: Path, other_tiny_editor_path: Path
) -> None:
    from workers.models.moving.mappings import file_mappings

    editor = loaded(tiny_editor_path)
    before, modules = edit(editor), [getattr(editor._pipeline, name) for name in MODULES]

    assert editor.replace(spec(other_tiny_editor_path))

    assert [getattr(editor._pipeline, name) for name in MODULES] == modules
    mappings = file_mappings()
    for weight in (weight for module in modules for weight in module.parameters()):
        mapping = mappings.at(weight.data_ptr(), weight.data_ptr() + weight.nbytes)
        assert mapping is not None
        assert mapping.path.startswith(str(other_tiny_editor_path.resolve())), "no weight was copied"
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path)))
    assert not np.array_equal(edit(editor), before)
    assert editor.replace(spec(tiny_editor_path))
    assert np.array_equal(edit(editor), before), "and back: nothing was written into the old files' pages"


def test_a_checkpoint_that_replaces_another_moves_to_the_device(
    tiny_editor_path: Path, other_tiny_editor_path: Path
) -> None:
    editor = SecondCopyEditor(spec(tiny_editor_path), "cpu")
    editor.load("device")
    edit(editor)
    assert editor.replace(spec(other_tiny_editor_path))
    editor.place("device")
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path)))
    editor.place("host")
    editor.place("device")
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path)))


@pytest.mark.parametrize("params", [{"dtype": "bfloat16"}, {"dtype": "float32", "optimizations": {"fp8": True}}])
def test_weights_that_have_to_be_converted_are_not_replaced(
    tiny_editor_path: Path, other_tiny_editor_path: Path, params: dict[str, Any]
) -> None:
    """The weights of both checkpoints would be in memory at once; loading drops the old ones first."""
    editor = QwenImageEditEditor(replace(spec(tiny_editor_path), params=params), "cpu")
    editor.load("device")
    assert not editor.replace(replace(spec(other_tiny_editor_path), params=params))
    assert editor._pipeline is not None


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
