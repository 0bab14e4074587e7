"""Several source images through the real Plus pipeline of diffusers, on the tiny model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.workers.models.editors.tiny_edits import loaded, picture
from workers.interface import EditRequest, ModelError
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

PARAMETERS = {"num_inference_steps": 2, "true_cfg_scale": 4.0, "height": 64, "width": 64}
FIRST, SECOND, THIRD = picture(-2.0, (64, 64)), picture(-1.5, (96, 48)), picture(-1.0, (40, 80))
SOURCES = {"first": FIRST, "second": SECOND, "third": THIRD}


@pytest.fixture(scope="module")
def plus(tiny_plus_editor_path: Path) -> QwenImageEditEditor:
    return loaded(tiny_plus_editor_path)


def edit(editor: QwenImageEditEditor, *images: Image.Image, **parameters: Any) -> Image.Image:
    request = EditRequest(images[0], "把圆形改成方形", 42, "a/1", {**PARAMETERS, **parameters}, images=images)
    return editor.edit(request, lambda *_: None)


@pytest.fixture(scope="module")
def of(plus: QwenImageEditEditor) -> Callable[..., bytes]:
    """The edit of these images, each made once."""
    return functools.cache(lambda *names: edit(plus, *(SOURCES[name] for name in names)).tobytes())


def test_an_edit_of_several_images_is_the_one_that_the_pipeline_makes_by_itself(
    plus: QwenImageEditEditor, of: Callable[..., bytes]
) -> None:
    import torch

    assert type(plus._pipeline).__name__ == "QwenImageEditPlusPipeline"
    alone = plus._pipeline(
        image=[FIRST, SECOND, THIRD],
        prompt="把圆形改成方形",
        negative_prompt=" ",
        generator=torch.Generator("cpu").manual_seed(42),
        **PARAMETERS,
    )
    assert of("first", "second", "third") == alone.images[0].tobytes()


def test_each_image_counts_and_so_does_their_order(of: Callable[..., bytes]) -> None:
    edits = ["first", "first second", "first third", "second first", "first second third"]
    assert len({of(*names.split()) for names in edits}) == len(edits)


def test_a_list_of_one_image_is_edited_as_the_image_is(plus: QwenImageEditEditor, of: Callable[..., bytes]) -> None:
    request = EditRequest(FIRST, "把圆形改成方形", 42, "a/1", PARAMETERS)
    assert request.images == (FIRST,)
    assert plus.edit(request, lambda *_: None).tobytes() == of("first")


def test_the_text_encoder_gets_the_positions_of_all_images(
    plus: QwenImageEditEditor, tiny_plus_editor_path: Path
) -> None:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    pipeline = plus._pipeline
    images = [FIRST, SECOND, THIRD]
    shown = "".join(f"Picture {number}: <|vision_start|><|image_pad|><|vision_end|>" for number in (1, 2, 3))
    text = pipeline.prompt_template_encode.format(shown + "变亮")
    inputs = pipeline.processor(text=[text], images=images, padding=True, return_tensors="pt")
    alone = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        tiny_plus_editor_path / "text_encoder", dtype=torch.float32
    )
    with torch.no_grad():
        states = alone(**inputs, output_hidden_states=True).hidden_states[-1]
        embeddings, _ = pipeline.encode_prompt("变亮", image=images)
    assert torch.equal(embeddings[0], states[0, pipeline.prompt_template_encode_start_idx :])
    assert "mm_token_type_ids" in inputs, "the processor says itself which tokens are those of images"


def test_kept_prompt_embeddings_belong_to_all_images_together(
    of: Callable[..., bytes], tiny_plus_editor_path: Path
) -> None:
    keeping = loaded(tiny_plus_editor_path, {"keep_prompt_embeddings": True})
    for names in [("first", "second"), ("first", "third"), ("first", "second")]:
        assert edit(keeping, *(SOURCES[name] for name in names)).tobytes() == of(*names)


def test_what_is_transparent_is_white_in_each_image(plus: QwenImageEditEditor) -> None:
    hidden = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    white = Image.new("RGB", (64, 64), "white")
    assert edit(plus, FIRST, hidden).tobytes() == edit(plus, FIRST, white).tobytes()


def test_a_pipeline_that_takes_one_image_refuses_several(tiny_editor_path: Path) -> None:
    editor = loaded(tiny_editor_path)
    with pytest.raises(ModelError, match="got 2 source images; a QwenImageEditPipeline takes one"):
        edit(editor, FIRST, SECOND)
