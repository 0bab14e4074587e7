"""Which arguments a pipeline gets, and which parameters are refused because they would have no effect."""

from __future__ import annotations

from typing import Any

import pytest

from workers.models.editors.pipeline_arguments import Refusal, arguments_of, refusals, size_arguments
from workers.models.editors.pipeline_facts import CheckpointFacts
from workers.models.editors.signatures import Signature, signature_of

QWEN = CheckpointFacts("QwenImageEditPipeline", distilled=False, guidance_embeds=False)
PLUS = CheckpointFacts("QwenImageEditPlusPipeline", distilled=False, guidance_embeds=False)
KONTEXT = CheckpointFacts("FluxKontextPipeline", distilled=False, guidance_embeds=True)
KLEIN = CheckpointFacts("Flux2KleinPipeline", distilled=False)
DISTILLED = CheckpointFacts("Flux2KleinPipeline", distilled=True)
KEY_VALUES = CheckpointFacts("Flux2KleinKVPipeline", distilled=True)
PIX2PIX = CheckpointFacts("StableDiffusionInstructPix2PixPipeline")
LONGCAT = CheckpointFacts("LongCatImageEditPipeline")
Z_IMAGE = CheckpointFacts("ZImageOmniPipeline")
JOY = CheckpointFacts("JoyImageEditPipeline")
KANDINSKY = CheckpointFacts("Kandinsky5I2IPipeline")
QWEN_21 = CheckpointFacts("QwenImage21Pipeline", own_schedule=True)
FLUX_2 = CheckpointFacts("Flux2Pipeline", guidance_embeds=False)
FLUX_2_GUIDED = CheckpointFacts("Flux2Pipeline", guidance_embeds=True)
BRIA = CheckpointFacts("BriaFiboEditPipeline")
CHRONO = CheckpointFacts("ChronoEditPipeline")
OMNIGEN = CheckpointFacts("OmniGenPipeline")
DREAMLITE = CheckpointFacts("DreamLitePipeline")
SIZE_OF_SOURCE = "use_input_image_size_as_output"


def signature(facts: CheckpointFacts) -> Signature:
    found = signature_of(facts.pipeline)
    assert found is not None
    return found


def arguments(facts: CheckpointFacts, **params: Any) -> dict[str, Any]:
    return arguments_of(signature(facts), facts, params)


def refused(facts: CheckpointFacts, **params: Any) -> list[Refusal]:
    return list(refusals(signature(facts), facts, params))


def test_a_parameter_comes_before_the_preset_and_the_preset_before_the_class() -> None:
    assert arguments(PLUS) == {"num_inference_steps": 40, "negative_prompt": " "}
    assert arguments(PLUS, num_inference_steps=8) == {"num_inference_steps": 8, "negative_prompt": " "}
    assert arguments(PLUS, preset="none") == {}
    assert arguments(KONTEXT, pipeline_arguments={"max_sequence_length": 256}) == {
        "guidance_scale": 2.5,
        "max_sequence_length": 256,
    }


def test_a_preset_may_be_for_distilled_checkpoints_only() -> None:
    assert arguments(DISTILLED) == {"num_inference_steps": 4}
    assert arguments(KLEIN) == {}


def test_without_guidance_the_negative_prompt_of_the_preset_is_left_out() -> None:
    assert arguments(PLUS, true_cfg_scale=1.0) == {"num_inference_steps": 40, "true_cfg_scale": 1.0}


@pytest.mark.parametrize(
    ("facts", "params", "key", "message"),
    [
        (QWEN, {"guidance_scale": 4.0}, "guidance_scale", "ignores it for this model, which is not guidance-distilled"),
        (PLUS, {"guidance_scale": 1.0}, "guidance_scale", "ignores it for this model, which is not guidance-distilled"),
        (QWEN, {"true_cfg_scale": 4.0, "preset": "none"}, "true_cfg_scale", "no effect without a negative_prompt"),
        (KONTEXT, {"true_cfg_scale": 2.0}, "true_cfg_scale", "2 has no effect without a negative_prompt"),
        (QWEN, {"true_cfg_scale": 1.0, "negative_prompt": "blurry"}, "negative_prompt", "true_cfg_scale is 1"),
        (KONTEXT, {"negative_prompt": "blurry"}, "negative_prompt", "no effect without guidance (true_cfg_scale is 1)"),
        (JOY, {"negative_prompt": "x", "guidance_scale": 1.0}, "negative_prompt", "guidance_scale is 1"),
        (DISTILLED, {"guidance_scale": 4.0}, "guidance_scale", "ignores it for this model, which is distilled"),
        (KEY_VALUES, {"guidance_scale": 4.0}, "guidance_scale", "has no argument guidance_scale"),
        (KLEIN, {"negative_prompt": "blurry"}, "negative_prompt", "has no argument negative_prompt"),
        (PIX2PIX, {"true_cfg_scale": 4.0}, "true_cfg_scale", "has no argument true_cfg_scale"),
        (PIX2PIX, {"height": 512}, "height", "has no argument height"),
        (PIX2PIX, {"image_guidance_scale": 0.5}, "image_guidance_scale", "below 1, a"),
        (PIX2PIX, {"image_guidance_scale": 2.0, "guidance_scale": 1.0}, "image_guidance_scale", "no effect with"),
        (LONGCAT, {"output_size": "source"}, "output_size", "has no arguments height and width"),
        (KONTEXT, {"images": "all"}, "images", "takes one source image"),
        (KONTEXT, {"pipeline_arguments": {"strength": 0.5}}, "pipeline_arguments.strength", "has no argument strength"),
        (KONTEXT, {"pipeline_arguments": {"generator": 1}}, "pipeline_arguments.generator", "set by the editor"),
        (KONTEXT, {"pipeline_arguments": {"width": 64}}, "pipeline_arguments.width", "has a key of its own"),
        (JOY, {"height": 512, "width": 512}, "height", "makes edits of its own sizes"),
        (KANDINSKY, {"output_size": "source"}, "output_size", "makes edits of its own sizes"),
        (QWEN_21, {"width": 48}, "width", "sides in multiples of 32 pixels"),
        (QWEN_21, {"num_inference_steps": 20}, "num_inference_steps", "has its own schedule"),
        (Z_IMAGE, {"dtype": "float32"}, "dtype", "works in bfloat16 only"),
        (FLUX_2, {"guidance_scale": 2.5}, "guidance_scale", "ignores it for this model"),
        (BRIA, {"pipeline_arguments": {"seed": 3}}, "pipeline_arguments.seed", "set by the editor"),
        (CHRONO, {"pipeline_arguments": {"num_frames": 9}}, "pipeline_arguments.num_frames", "without enable_temporal"),
        (
            OMNIGEN,
            {"height": 512, "pipeline_arguments": {SIZE_OF_SOURCE: True}},
            f"pipeline_arguments.{SIZE_OF_SOURCE}",
            "overrides height",
        ),
        (CheckpointFacts("QwenImageLayeredPipeline"), {}, "model_name", "takes an image apart into layers"),
        (CheckpointFacts("FluxPipeline"), {}, "model_name", "takes no source image with an instruction"),
        (CheckpointFacts("QwenImageEditPipeline", False, True), {}, "guidance_scale", "is missing"),
    ],
)
def test_what_would_have_no_effect_is_refused_with_the_reason(
    facts: CheckpointFacts, params: dict[str, Any], key: str, message: str
) -> None:
    (refusal,) = refused(facts, **params)
    assert ".".join(refusal.key) == key
    assert message in refusal.message


@pytest.mark.parametrize(
    ("facts", "params"),
    [
        (QWEN, {}),
        (QWEN, {"true_cfg_scale": 4.0}),
        (QWEN, {"true_cfg_scale": 1.0}),
        (PLUS, {"images": "all", "output_size": "source"}),
        (KONTEXT, {"guidance_scale": 3.0}),
        (KONTEXT, {"true_cfg_scale": 2.0, "negative_prompt": "blurry"}),
        (KLEIN, {"guidance_scale": 4.0}),
        (Z_IMAGE, {"guidance_scale": 0.5, "negative_prompt": "blurry", "dtype": "bfloat16"}),
        (DREAMLITE, {"guidance_scale": 1.0, "image_guidance_scale": 0.5, "negative_prompt": "blurry"}),
        (CHRONO, {"pipeline_arguments": {"num_frames": 9, "enable_temporal_reasoning": True}}),
        (FLUX_2_GUIDED, {"guidance_scale": 2.5}),
        (PIX2PIX, {"guidance_scale": 7.0, "image_guidance_scale": 1.0, "pipeline_arguments": {"eta": 0.5}}),
    ],
)
def test_what_has_an_effect_is_not_refused(facts: CheckpointFacts, params: dict[str, Any]) -> None:
    assert refused(facts, **params) == []


def sizes(facts: CheckpointFacts, source: tuple[int, int], **params: Any) -> dict[str, Any]:
    return size_arguments(signature(facts), facts, params, source)


def test_a_size_reaches_a_class_that_takes_only_the_ratio_with_its_area() -> None:
    area = {"max_area": 64 * 96}
    assert sizes(KONTEXT, (100, 70), output_size="source") == {"height": 64, "width": 96, **area}
    assert sizes(QWEN, (100, 70), height=64, width=48) == {"height": 64, "width": 48}
    assert sizes(KONTEXT, (100, 70), height=64) == {"height": 64}


def test_the_pipeline_chooses_the_size_unless_its_only_default_has_one_ratio_for_all_sources() -> None:
    assert sizes(QWEN, (100, 70)) == {}
    assert sizes(CHRONO, (640, 640)) == {"height": 960, "width": 960}, "720 x 1280 pixels, as in diffusers' example"
    assert sizes(CHRONO, (1280, 720)) == {"height": 720, "width": 1280}
    assert sizes(CHRONO, (640, 640), height=480) == {"height": 480}
    assert sizes(CHRONO, (640, 640), preset="none") == {}


def test_a_class_that_needs_a_size_gets_that_of_its_source_in_steps_of_its_own() -> None:
    glm = CheckpointFacts("GlmImagePipeline")
    assert sizes(glm, (96, 64)) == {"height": 64, "width": 96}
    assert sizes(glm, (96, 64), height=128) == {"height": 128, "width": 96}
    assert sizes(QWEN_21, (100, 70), output_size="source") == {"height": 64, "width": 96}


def test_a_size_goes_before_the_presets_that_of_the_source() -> None:
    assert arguments(OMNIGEN)["use_input_image_size_as_output"] is True
    assert sizes(OMNIGEN, (100, 70)) == {}
    expected = {"height": 64, "width": 64, "use_input_image_size_as_output": False}
    assert sizes(OMNIGEN, (100, 70), height=64, width=64) == expected
    assert sizes(OMNIGEN, (100, 70), height=64) == {"height": 64, "use_input_image_size_as_output": False}
