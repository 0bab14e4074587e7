"""What makes the editor faster, on the real pipelines of diffusers: what it changes, and that nothing is left of it."""

from __future__ import annotations

import functools
import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.models.editors.tiny_edits import STEPS, edit, loaded, picture, request, spec
from workers.interface import EditRequest, ModelError
from workers.models.editors.pipeline_options import checked_options
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

FIRST_BLOCK = {"first_block_cache": 0.99}
KEPT = {"keep_prompt_embeddings": True}


def other(steps: int = STEPS) -> EditRequest:
    return request(picture(-1.0), "make it blue", 7, steps)


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
def plain(tiny_editor_path: Path) -> Callable[[int], np.ndarray]:
    """The edit of so many steps without any option."""
    editor = loaded(tiny_editor_path)
    return functools.cache(lambda steps: edit(editor, request(steps=steps)))


@pytest.mark.parametrize(
    ("options", "steps"), [(FIRST_BLOCK, STEPS), ({"taylorseer_cache": 3}, 12), ({"fp8": True}, 2)], ids=str
)
def test_an_approximate_edit_depends_on_no_other_one_not_even_on_one_that_failed(
    tiny_editor_path: Path, plain: Callable[[int], np.ndarray], options: dict[str, Any], steps: int
) -> None:
    alone = edit(loaded(tiny_editor_path, options), request(steps=steps))
    assert not np.array_equal(alone, plain(steps))
    editor = loaded(tiny_editor_path, options)
    edit(editor, other(steps))
    with pytest.raises(RuntimeError, match="in the middle"):
        editor.edit(other(steps), fail_at_step(steps // 2))
    assert np.array_equal(edit(editor, request(steps=steps)), alone)


def test_what_one_editor_has_switched_on_is_off_in_the_next_one_of_the_same_process(
    tiny_editor_path: Path, plain: Callable[[int], np.ndarray]
) -> None:
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    expected = plain(STEPS)
    used = loaded(tiny_editor_path, {**FIRST_BLOCK, **KEPT, "fp8": True, "attention_backend": "_native_math"})
    edit(used)
    next_one = loaded(tiny_editor_path)
    assert _AttentionBackendRegistry.get_active_backend()[0].value == "native"
    assert np.array_equal(edit(next_one), expected)


def test_prompt_embeddings_are_made_once_for_a_pair_and_change_nothing(tiny_editor_path: Path) -> None:
    editor, without = loaded(tiny_editor_path, KEPT), loaded(tiny_editor_path)
    passes = count_encodings(editor)
    first = request(steps=2)
    before = edit(without, first)
    for wanted, expected in [
        (first, 2),
        (request(seed=43, steps=2), 2),
        (request(instruction="make it blue", steps=2), 3),  # the negative prompt is the same, with the same image
        (request(picture(-1.0), steps=2), 5),
        (first, 5),
    ]:
        assert np.array_equal(edit(editor, wanted), before if wanted is first else edit(without, wanted))
        assert len(passes) == expected


def test_an_edit_that_failed_leaves_whole_embeddings_or_none(
    tiny_editor_path: Path, plain: Callable[[int], np.ndarray]
) -> None:
    editor = loaded(tiny_editor_path, KEPT)
    passes = count_encodings(editor)
    # The second of two passes, that of the negative prompt, fails.
    handle = editor._pipeline.text_encoder.register_forward_pre_hook(lambda *_: 1 / 0 if passes else None)
    with pytest.raises(ZeroDivisionError):
        edit(editor, request(steps=2))
    handle.remove()
    assert np.array_equal(edit(editor, request(steps=2)), plain(2))
    assert len(passes) == 2


def test_embeddings_are_forgotten_with_the_weights(
    tiny_editor_path: Path, other_tiny_editor_path: Path, plain: Callable[[int], np.ndarray]
) -> None:
    editor, wanted = loaded(tiny_editor_path, KEPT), request(steps=2)
    edit(editor, wanted)
    passes = count_encodings(editor)
    editor.place("host")
    editor.place("device")
    assert np.array_equal(edit(editor, wanted), plain(2))
    assert len(passes) == 2
    assert editor.replace(spec(other_tiny_editor_path, KEPT))
    assert np.array_equal(edit(editor, wanted), edit(loaded(other_tiny_editor_path), wanted))
    passes = count_encodings(editor)
    edit(editor, wanted)
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


def test_another_attention_backend_changes_float_noise_at_most(
    tiny_editor_path: Path, plain: Callable[[int], np.ndarray]
) -> None:
    native = loaded(tiny_editor_path, {"attention_backend": "native"})
    assert np.array_equal(edit(native, request(steps=2)), plain(2))
    editor = loaded(tiny_editor_path, {"attention_backend": "_native_math"})
    processors = {
        block.attn.processor._attention_backend.value for block in editor._pipeline.transformer.transformer_blocks
    }
    assert processors == {"_native_math"}
    assert np.abs(edit(editor) - plain(STEPS)).max() <= 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its parts to each other
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_compiled_blocks_serve_all_shapes_change_float_noise_at_most_and_are_freed(
    tiny_editor_path: Path, plain: Callable[[int], np.ndarray]
) -> None:
    from torch._dynamo.utils import counters

    editor, without = loaded(tiny_editor_path, {"compile_repeated_blocks": True}), loaded(tiny_editor_path)
    assert np.abs(edit(editor) - plain(STEPS)).max() <= 2
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0
    for size in ((64, 128), (200, 64), (90, 64)):
        wanted = request(picture(size=size), f"make it {size} wide", steps=4)
        assert np.abs(edit(editor, wanted) - edit(without, wanted)).max() <= 2
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


@pytest.mark.parametrize(
    ("options", "more", "message"),
    [
        ({"cache_dit": True}, {}, "optimizations.cache_dit needs the package cache_dit"),
        ({"lightning_lora": "any"}, {}, "optimizations.lightning_lora needs the package peft"),
        ({}, {"lora": [{"path": "any"}]}, "params.lora needs the package peft"),
    ],
)
def test_an_option_whose_package_is_missing_is_refused_before_anything_is_read(
    options: dict[str, Any], more: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)  # as if they were not installed
    with pytest.raises(ModelError, match=message) as caught:
        loaded(Path("no-such-folder"), options, **more)
    assert caught.value.kind == "config"


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ModelError, match="needs a C\\+\\+ compiler, and there is no no-such-compiler"):
        checked_options({"optimizations": {"compile_repeated_blocks": True}}, QwenImageEditEditor.SUPPORTED)
    off = {"optimizations": {"compile_repeated_blocks": False, "first_block_cache": None}}
    assert checked_options(off, QwenImageEditEditor.SUPPORTED) == {}
