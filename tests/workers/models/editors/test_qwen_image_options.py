"""What makes the editor faster, on the real pipelines of diffusers: what it changes, and that nothing is left of it."""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from protocol.messages import ModelSpec
from workers.interface import EditRequest, ModelError
from workers.models.editors.qwen_image_edit import QwenImageEditEditor
from workers.models.editors.qwen_image_options import can_be_replaced, checked_options, lora_file

pytestmark = pytest.mark.slow

# So many steps that the first-block cache finds two that are alike: the model's weights are random.
STEPS = 24
FIRST_BLOCK = {"first_block_cache": 0.99}
KEPT = {"keep_prompt_embeddings": True}


def spec(folder: Path, options: Any) -> ModelSpec:
    params = {"dtype": "float32", "threads_per_worker": 1, "optimizations": options}
    return ModelSpec(role="editor", type="qwen_image_edit", name=str(folder), params=params)


def loaded(folder: Path, options: Any = None) -> QwenImageEditEditor:
    editor = QwenImageEditEditor(spec(folder, options or {}), "cpu")
    editor.load("device")
    return editor


def picture(left: float = -2.0, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.effect_mandelbrot(size, (left, -1.5, 1, 1.5), 50).convert("RGB")


def request(
    source: Image.Image | None = None, instruction: str = "把圆形改成方形", seed: int = 42, steps: int = STEPS
) -> EditRequest:
    parameters = {"num_inference_steps": steps, "true_cfg_scale": 4.0, "height": 64, "width": 64}
    return EditRequest(source or picture(), instruction, seed, "a/1", parameters)


OTHER = request(picture(-1.0), "make it blue", 7)


def edit(editor: QwenImageEditEditor, wanted: EditRequest | None = None) -> np.ndarray:
    made = editor.edit(wanted or request(), lambda *_: None)
    pixels: np.ndarray = np.array(made, dtype=np.int16)
    return pixels


def fail_at_step(failing: int) -> Any:
    def progress(step: int, steps: int) -> None:
        if step == failing:
            raise RuntimeError("in the middle")

    return progress


def count_encodings(editor: QwenImageEditEditor) -> list[int]:
    """A list that grows by one at each pass through the text encoder."""
    passes: list[int] = []
    editor._pipeline.text_encoder.register_forward_hook(lambda *_: passes.append(1))
    return passes


@pytest.fixture(scope="module")
def reference(tiny_editor_path: Path) -> np.ndarray:
    return edit(loaded(tiny_editor_path))


@pytest.mark.parametrize("options", [FIRST_BLOCK, {"taylorseer_cache": 3}, {"fp8": True}], ids=str)
def test_an_approximate_edit_depends_on_no_other_one_not_even_on_one_that_failed(
    tiny_editor_path: Path, reference: np.ndarray, options: dict[str, Any]
) -> None:
    alone = edit(loaded(tiny_editor_path, options))
    assert not np.array_equal(alone, reference)
    editor = loaded(tiny_editor_path, options)
    edit(editor, OTHER)
    with pytest.raises(RuntimeError, match="in the middle"):
        editor.edit(OTHER, fail_at_step(STEPS // 2))
    assert np.array_equal(edit(editor), alone)


def test_what_one_editor_has_switched_on_is_off_in_the_next_one_of_the_same_process(
    tiny_editor_path: Path, reference: np.ndarray
) -> None:
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    used = loaded(tiny_editor_path, {**FIRST_BLOCK, **KEPT, "fp8": True, "attention_backend": "_native_math"})
    edit(used)
    plain = loaded(tiny_editor_path)
    assert _AttentionBackendRegistry.get_active_backend()[0].value == "native"
    assert np.array_equal(edit(plain), reference)


def test_prompt_embeddings_are_made_once_for_a_pair_and_change_nothing(tiny_editor_path: Path) -> None:
    editor, plain = loaded(tiny_editor_path, KEPT), loaded(tiny_editor_path)
    passes = count_encodings(editor)
    for wanted, expected in [
        (request(steps=2), 2),
        (request(seed=43, steps=2), 2),
        (request(instruction="make it blue", steps=2), 3),  # the negative prompt is the same, with the same image
        (request(picture(-1.0), steps=2), 5),
        (request(steps=2), 5),
    ]:
        assert np.array_equal(edit(editor, wanted), edit(plain, wanted))
        assert len(passes) == expected


def test_an_edit_that_failed_leaves_whole_embeddings_or_none(tiny_editor_path: Path, reference: np.ndarray) -> None:
    editor = loaded(tiny_editor_path, KEPT)
    passes = count_encodings(editor)
    # The second of two passes, that of the negative prompt, fails.
    handle = editor._pipeline.text_encoder.register_forward_pre_hook(lambda *_: 1 / 0 if passes else None)
    with pytest.raises(ZeroDivisionError):
        edit(editor)
    handle.remove()
    assert np.array_equal(edit(editor), reference)
    assert len(passes) == 2


def test_embeddings_are_forgotten_with_the_weights(
    tiny_editor_path: Path, other_tiny_editor_path: Path, reference: np.ndarray
) -> None:
    editor = loaded(tiny_editor_path, KEPT)
    edit(editor)
    passes = count_encodings(editor)
    editor.place("host")
    editor.place("device")
    assert np.array_equal(edit(editor), reference)
    assert len(passes) == 2
    assert editor.replace(spec(other_tiny_editor_path, KEPT))
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path)))
    passes = count_encodings(editor)
    edit(editor)
    assert not passes


@pytest.mark.parametrize("options", [FIRST_BLOCK, {"taylorseer_cache": 3}], ids=str)
def test_another_checkpoint_in_place_has_the_same_options(
    tiny_editor_path: Path, other_tiny_editor_path: Path, options: dict[str, Any]
) -> None:
    editor = loaded(tiny_editor_path, options)
    edit(editor)
    assert editor.replace(spec(other_tiny_editor_path, options))
    assert np.array_equal(edit(editor), edit(loaded(other_tiny_editor_path, options)))
    assert not editor.replace(spec(other_tiny_editor_path, {})), "without the options it is another model"


def test_a_transformer_that_has_to_be_loaded_again_for_another_checkpoint_has_the_same_options(
    tiny_editor_path: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_editor_path, tmp_path / "other"))
    file = other / "transformer" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "axes_dims_rope": [8, 4, 4]}), encoding="utf-8")
    editor = loaded(tiny_editor_path, FIRST_BLOCK)
    transformer = editor._pipeline.transformer
    assert editor.replace(spec(other, FIRST_BLOCK))
    assert editor._pipeline.transformer is not transformer
    assert np.array_equal(edit(editor), edit(loaded(other, FIRST_BLOCK)))


def test_a_layer_in_which_an_exception_was_raised_is_stored_in_8_bits_again(
    tiny_editor_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    editor = loaded(tiny_editor_path, {"fp8": True})
    size = editor.size_bytes()
    assert size < loaded(tiny_editor_path).size_bytes()
    layer = editor._pipeline.transformer.transformer_blocks[1].img_mlp.net[2]
    linear = torch.nn.functional.linear

    def failing(values: Any, weight: Any, bias: Any = None) -> Any:
        if weight is layer.weight:
            assert weight.dtype == torch.float32
            raise RuntimeError("in a layer")
        return linear(values, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", failing)
    with pytest.raises(RuntimeError, match="in a layer"):
        edit(editor)
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert editor.size_bytes() == size


def test_another_attention_backend_changes_float_noise_at_most(tiny_editor_path: Path, reference: np.ndarray) -> None:
    assert np.array_equal(edit(loaded(tiny_editor_path, {"attention_backend": "native"})), reference)
    editor = loaded(tiny_editor_path, {"attention_backend": "_native_math"})
    processors = {
        block.attn.processor._attention_backend.value for block in editor._pipeline.transformer.transformer_blocks
    }
    assert processors == {"_native_math"}
    assert np.abs(edit(editor) - reference).max() <= 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its parts to each other
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_compiled_blocks_serve_all_shapes_change_float_noise_at_most_and_are_freed(
    tiny_editor_path: Path, reference: np.ndarray
) -> None:
    from torch._dynamo.utils import counters

    editor, plain = loaded(tiny_editor_path, {"compile_repeated_blocks": True}), loaded(tiny_editor_path)
    assert np.abs(edit(editor) - reference).max() <= 2
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0
    for size in ((64, 128), (200, 64), (90, 64)):
        wanted = request(picture(size=size), f"make it {size} wide")
        assert np.abs(edit(editor, wanted) - edit(plain, wanted)).max() <= 2
    assert counters["stats"]["unique_graphs"] == graphs
    weight = weakref.ref(editor._pipeline.transformer.transformer_blocks[0].attn.to_q.weight)
    del editor
    gc.collect()
    assert weight() is None, "the next model would find its memory taken"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["first_block_cache"], "must be a mapping of names to values"),
        ({"warp_drive": True, "fp8": True}, "does not support warp_drive"),
        ({"attention_backend": "nonsense"}, r"attention_backend: 'nonsense' does not work on cpu.*must be one of"),
        ({"attention_backend": "_native_cudnn"}, r"attention_backend: '_native_cudnn' does not work on cpu"),
        ({"attention_backend": "_flash_3"}, r"attention_backend: '_flash_3' does not work on cpu"),
        ({"first_block_cache": 0.1, "taylorseer_cache": 3}, r"taylorseer_cache: 3 does not work.*already been enabled"),
    ],
)
def test_an_option_that_does_not_work_here_is_refused_by_name(
    tiny_editor_path: Path, options: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        loaded(tiny_editor_path, options)
    assert caught.value.kind == "config"


@pytest.mark.parametrize(("option", "package"), [("cache_dit", "cache_dit"), ("lightning_lora", "peft")])
def test_an_option_whose_package_is_missing_is_refused_before_anything_is_read(option: str, package: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ModelError, match=f"{option} needs the package {package}") as caught:
        loaded(Path("no-such-folder"), {option: "any"})
    assert caught.value.kind == "config"


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ModelError, match="needs a C\\+\\+ compiler, and there is no no-such-compiler"):
        checked_options({"optimizations": {"compile_repeated_blocks": True}})
    assert checked_options({"optimizations": {"compile_repeated_blocks": False, "first_block_cache": None}}) == {}


def test_a_lora_is_a_file_here_or_on_the_hub_and_its_weights_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "lightning.safetensors"
    file.touch()
    assert lora_file({}) is None
    assert lora_file({"lightning_lora": str(file)}) == file
    for name in (str(tmp_path), f"{file}x", "./lightning.safetensors", "lightx2v/Qwen-Image-Lightning"):
        with pytest.raises(ModelError, match="there is no file") as caught:
            lora_file({"lightning_lora": name})
        assert caught.value.kind == "model_not_found"
    assert not can_be_replaced({"lightning_lora": str(file)})
    assert not can_be_replaced({"fp8": True})
    assert can_be_replaced({"first_block_cache": 0.1})


def lora_for(editor: QwenImageEditEditor, file: Path) -> dict[str, Any]:
    """Write a random LoRA of rank 4 and strength 2 for all attention of the editor; return what it adds to weights."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {}
    added: dict[str, Any] = {}
    for name, layer in editor._pipeline.transformer.named_modules():
        if isinstance(layer, torch.nn.Linear) and ".attn." in name:
            down = torch.randn(4, layer.in_features, generator=generator) / 10
            up = torch.randn(layer.out_features, 4, generator=generator) / 10
            state |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            state[f"{name}.alpha"] = torch.tensor(8.0)
            added[f"{name}.weight"] = 2 * up @ down
    save_file(state, file)
    return added


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="a LoRA needs peft")
def test_a_lora_edits_as_if_it_were_added_to_the_weights_and_with_its_own_noise_schedule(
    tiny_editor_path: Path, tmp_path: Path
) -> None:
    import torch

    by_hand = loaded(tiny_editor_path)
    added = lora_for(by_hand, tmp_path / "l.safetensors")
    editor = loaded(tiny_editor_path, {"lightning_lora": str(tmp_path / "l.safetensors")})
    assert str(tmp_path / "l.safetensors") in editor.weight_files()
    assert editor._pipeline.scheduler.config.shift_terminal is None
    by_hand._pipeline.scheduler = editor._pipeline.scheduler
    with torch.no_grad():
        for name, difference in added.items():
            by_hand._pipeline.transformer.get_parameter(name).add_(difference)
    assert np.abs(edit(editor) - edit(by_hand)).max() <= 2
    assert not editor.replace(spec(tiny_editor_path, editor.spec.params["optimizations"]))
