"""The real pipelines of diffusers, on the tiny model."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from protocol.messages import ModelSpec
from scripts.tiny_models.editor import COMPONENTS
from workers.interface import EditRequest, ModelError, Progress
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

# Small edits of few steps.
SMALL = {"num_inference_steps": 2, "true_cfg_scale": 4.0, "height": 128, "width": 128}


def make_editor(path: Path | str, **params: Any) -> QwenImageEditEditor:
    spec = ModelSpec(
        role="editor",
        type="qwen_image_edit",
        name=str(path),
        params={"dtype": "float32", "threads_per_worker": 1} | params,
    )
    return QwenImageEditEditor(spec, "cpu")


def picture(colour: str = "tomato", size: tuple[int, int] = (96, 96), mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, size, "lightblue")
    ImageDraw.Draw(image).ellipse((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill=colour)
    return image


def request(
    source: Image.Image | None = None, instruction: str = "把圆形改成方形", seed: int = 42, **parameters: Any
) -> EditRequest:
    return EditRequest(source or picture(), instruction, seed, "物理/1", {**SMALL, **parameters})


def ignore(step: int, steps: int) -> None:
    """A progress that nobody looks at."""


def failing_with(error: Exception) -> Progress:
    """A progress that fails: it is called from within the pipeline's loop, where a step might fail."""

    def progress(step: int, steps: int) -> None:
        raise error

    return progress


@pytest.fixture(scope="module")
def editor(tiny_editor_path: Path) -> QwenImageEditEditor:
    editor = make_editor(tiny_editor_path)
    editor.load("device")
    return editor


@pytest.fixture(scope="module")
def reference(editor: QwenImageEditEditor) -> bytes:
    return editor.edit(request(), ignore).tobytes()


@pytest.fixture
def copied_model(tiny_editor_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_editor_path, tmp_path / "model"))


def test_the_same_request_gives_the_same_pixels(editor: QwenImageEditEditor, reference: bytes) -> None:
    assert editor.edit(request(), ignore).tobytes() == reference


@pytest.mark.parametrize(
    "changed",
    [
        request(seed=43),
        request(instruction="把圆形改成三角形"),
        request(negative_prompt="模糊"),
        request(true_cfg_scale=3.0),
        request(num_inference_steps=3),
        request(source=picture("gold")),
    ],
    ids=["seed", "instruction", "negative prompt", "guidance", "steps", "source"],
)
def test_whatever_is_changed_changes_the_pixels(
    editor: QwenImageEditEditor, reference: bytes, changed: EditRequest
) -> None:
    assert editor.edit(changed, ignore).tobytes() != reference


def test_an_edit_depends_neither_on_the_edits_before_it_nor_on_the_process(
    editor: QwenImageEditEditor, reference: bytes, tiny_editor_path: Path
) -> None:
    other = make_editor(tiny_editor_path)
    other.load("device")
    other.edit(request(picture("gold", (50, 90)), "另一条指令", seed=7, num_inference_steps=3), ignore)
    assert other.edit(request(), ignore).tobytes() == reference


def test_height_and_width_are_those_asked_for(editor: QwenImageEditEditor) -> None:
    assert editor.edit(request(height=96, width=160), ignore).size == (160, 96)


def test_without_a_negative_prompt_true_cfg_is_on_all_the_same(editor: QwenImageEditEditor, reference: bytes) -> None:
    assert editor.edit(request(true_cfg_scale=1.0), ignore).tobytes() != reference
    assert editor.edit(request(negative_prompt=None), ignore).tobytes() == reference
    assert editor.edit(request(negative_prompt=" "), ignore).tobytes() == reference


def test_transparent_pixels_are_white_whatever_colour_lies_under_them(editor: QwenImageEditEditor) -> None:
    hidden = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    hidden.paste((0, 0, 255, 255), (16, 16, 48, 48))
    shown = Image.new("RGB", (64, 64), "white")
    shown.paste((0, 0, 255), (16, 16, 48, 48))
    assert editor.edit(request(hidden), ignore).tobytes() == editor.edit(request(shown), ignore).tobytes()


def test_progress_is_reported_once_a_step(editor: QwenImageEditEditor) -> None:
    steps: list[tuple[int, int]] = []
    editor.edit(request(num_inference_steps=3), lambda step, count: steps.append((step, count)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_the_text_encoder_gets_the_positions_of_the_image(editor: QwenImageEditEditor, tiny_editor_path: Path) -> None:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    pipeline = editor._pipeline
    inputs = pipeline.processor(
        text=[pipeline.prompt_template_encode.format("变亮")], images=picture(), padding=True, return_tensors="pt"
    )
    alone = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny_editor_path / "text_encoder", dtype=torch.float32)
    with torch.no_grad():
        states = alone(**inputs, output_hidden_states=True).hidden_states[-1]
        embeddings, _ = pipeline.encode_prompt("变亮", image=picture())
    assert torch.equal(embeddings[0], states[0, pipeline.prompt_template_encode_start_idx :])


def test_a_plus_pipeline_edits_through_the_same_class(reference: bytes, tiny_plus_editor_path: Path) -> None:
    plus = make_editor(tiny_plus_editor_path)
    plus.load("device")
    edited = plus.edit(request(), ignore)
    assert type(plus._pipeline).__name__ == "QwenImageEditPlusPipeline"
    assert edited.size == (128, 128)
    assert edited.tobytes() != reference
    assert plus.edit(request(), ignore).tobytes() == edited.tobytes()


def test_an_output_that_is_no_number_is_a_failure_and_no_black_image(editor: QwenImageEditEditor) -> None:
    with (
        pytest.warns(RuntimeWarning, match="invalid value"),  # the scheduler's: with one step it divides by zero
        pytest.raises(ModelError, match="not finite") as caught,
    ):
        editor.edit(request(num_inference_steps=1), ignore)
    assert caught.value.kind == "not_finite"


def test_the_image_is_the_one_that_the_pipeline_makes_by_itself(editor: QwenImageEditEditor, reference: bytes) -> None:
    import torch

    arguments = {**SMALL, "negative_prompt": " ", "generator": torch.Generator("cpu").manual_seed(42)}
    image = editor._pipeline(image=picture(), prompt="把圆形改成方形", **arguments).images[0]
    assert image.tobytes() == reference


def test_running_out_of_memory_is_reported_and_leaves_no_trace(editor: QwenImageEditEditor, reference: bytes) -> None:
    import torch

    with pytest.raises(ModelError, match=r"out of memory on cpu.*1 GiB") as caught:
        editor.edit(request(), failing_with(torch.OutOfMemoryError("tried to allocate 1 GiB")))
    assert caught.value.kind == "oom"
    assert caught.value.__context__ is None, "the pipeline's frames, and the tensors in them, would be kept alive"
    assert editor.edit(request(), ignore).tobytes() == reference


def test_a_failed_edit_does_not_change_the_next_one(editor: QwenImageEditEditor, reference: bytes) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        editor.edit(request(), failing_with(RuntimeError("in the middle")))
    assert editor.edit(request(), ignore).tobytes() == reference


def test_a_model_in_a_local_folder_needs_no_network(
    tiny_editor_path: Path, reference: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a network connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    editor = make_editor(tiny_editor_path)
    editor.load("device")
    assert editor.edit(request(), ignore).tobytes() == reference


def test_moving_a_cpu_editor_moves_nothing(editor: QwenImageEditEditor, reference: bytes) -> None:
    weights = editor._pipeline.transformer.proj_out.weight.data_ptr()
    editor.place("host")
    editor.place("device")
    assert editor._pipeline.transformer.proj_out.weight.data_ptr() == weights
    assert editor.edit(request(), ignore).tobytes() == reference


def test_its_files_are_the_weights_and_all_settings_and_nothing_hidden(editor: QwenImageEditEditor) -> None:
    files = {"/".join(Path(file).parts[-2:]) for file in editor.weight_files()}
    assert {
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
        "processor/preprocessor_config.json",
    } <= files
    assert all(Path(file).is_absolute() and not Path(file).name.startswith(".") for file in editor.weight_files())


def test_its_size_is_that_of_the_weights_in_the_dtype_asked_for(
    editor: QwenImageEditEditor, tiny_editor_path: Path
) -> None:
    half = make_editor(tiny_editor_path, dtype="bfloat16")
    on_disk = half.size_bytes()
    half.load("host")
    assert half.size_bytes() == pytest.approx(editor.size_bytes() / 2, rel=0.01)
    assert on_disk == pytest.approx(editor.size_bytes(), rel=0.05)


def test_it_names_the_libraries_that_a_result_depends_on(editor: QwenImageEditEditor) -> None:
    assert {"torch", "diffusers", "transformers", "tokenizers", "pillow"} <= editor.versions().keys()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dtype": "float8"}, "diffusion_model.params.dtype must be one of .*float32, not 'float8'"),
        ({"threads_per_worker": 0}, "threads_per_worker must be 1 or more, not 0"),
        ({"optimizations": {"warp_drive": True}}, "does not support warp_drive"),
    ],
)
def test_a_wrong_load_parameter_is_named(tiny_editor_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        make_editor(tiny_editor_path, **params).load("device")
    assert caught.value.kind == "config"


def test_a_device_that_is_not_there_is_named(tiny_editor_path: Path) -> None:
    import torch

    spec = ModelSpec(role="editor", type="qwen_image_edit", name=str(tiny_editor_path))
    device = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ModelError, match=device) as caught:
        QwenImageEditEditor(spec, device).load("device")
    assert caught.value.kind == "load"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no-such-folder.* does not exist") as caught:
        make_editor(tmp_path / "no-such-folder").load("device")
    assert caught.value.kind == "model_not_found"


def test_a_component_alone_is_no_editor(tiny_editor_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model_index\.json; an editor needs") as caught:
        make_editor(tiny_editor_path / "transformer").load("device")
    assert caught.value.kind == "model_not_found"


def damage_class(folder: Path) -> None:
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}', encoding="utf-8")


def damage_library(folder: Path) -> None:
    index = {"_class_name": "QwenImageEditPipeline", **COMPONENTS, "vae": ["os", "system"]}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


def truncate_weights(folder: Path) -> None:
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])


def drop_a_weight(folder: Path, component: str = "vae/diffusion_pytorch_model.safetensors") -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / component)
    tensors.pop(min(tensors))
    save_file(tensors, folder / component, metadata={"format": "pt"})


def drop_a_weight_of_the_text_encoder(folder: Path) -> None:
    drop_a_weight(folder, "text_encoder/model.safetensors")


def remove_processor(folder: Path) -> None:
    shutil.rmtree(folder / "processor")


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (damage_class, "load", "of the class 'StableDiffusionPipeline'; this editor runs QwenImageEditPipeline or"),
        (damage_library, "load", "names no usable class for vae"),
        (truncate_weights, "load", "safetensors has 2000 bytes, less than its header: it was cut off"),
        (drop_a_weight, "load", r"vae lacks weights, such as decoder.* \(1 in all\)"),
        (drop_a_weight_of_the_text_encoder, "load", "text_encoder lacks weights, such as"),
        (remove_processor, "model_not_found", "processor"),
    ],
)
def test_a_damaged_model_is_refused_with_the_reason(
    copied_model: Path, damage: Callable[[Path], None], kind: str, message: str
) -> None:
    damage(copied_model)
    with pytest.raises(ModelError, match=message) as caught:
        make_editor(copied_model).load("device")
    assert caught.value.kind == kind
