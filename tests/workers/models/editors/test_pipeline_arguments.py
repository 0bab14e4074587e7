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
        (Z_IMAGE, {"guidance_scale": 0.5, "negative_prompt": "blurry"}),
        (PIX2PIX, {"guidance_scale": 7.0, "image_guidance_scale": 1.0, "pipeline_arguments": {"eta": 0.5}}),
    ],
)
def test_what_has_an_effect_is_not_refused(facts: CheckpointFacts, params: dict[str, Any]) -> None:
    assert refused(facts, **params) == []


def test_a_size_reaches_a_class_that_takes_only_the_ratio_with_its_area() -> None:
    assert size_arguments(signature(KONTEXT), {}, (100, 70)) == {"height": 64, "width": 96, "max_area": 64 * 96}
    assert size_arguments(signature(QWEN), {"height": 64, "width": 48}, None) == {"height": 64, "width": 48}
    assert size_arguments(signature(KONTEXT), {"height": 64}, None) == {"height": 64}
