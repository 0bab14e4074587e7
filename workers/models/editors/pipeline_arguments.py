"""Which arguments a pipeline gets for the parameters of a run, and which parameters would have no effect, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.models.editors.pipeline_facts import (
    AREA,
    DISTILLED_WITHOUT_GUIDANCE,
    EMBEDDED_GUIDANCE,
    GUIDANCE_ABOVE,
    IMAGE_GUIDANCE_FROM,
    NO_EDITORS,
    ONE_IMAGE,
    CheckpointFacts,
    preset_of,
)
from workers.models.editors.signatures import Signature

KEYS = (
    "num_inference_steps",
    "true_cfg_scale",
    "guidance_scale",
    "image_guidance_scale",
    "negative_prompt",
    "height",
    "width",
)
"""The parameters that are arguments of the same name, where they are not None."""
MORE = "pipeline_arguments"
_SIZE_STEP = 16
_RESERVED = ("prompt", "image", "images", "input_images", "generator", "output_type", "return_dict", "latents")
_RESERVED_PARTS = ("callback", "_embeds", "_per_prompt")


@dataclass(frozen=True)
class Refusal:
    """A parameter that is wrong for a pipeline: its path below ``params``, what is wrong, and a hint."""

    key: tuple[str, ...]
    message: str
    hint: str | None = None


def arguments_of(signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for these parameters: what they say, before what the preset says.

    What neither says is left to the defaults of the class.
    """
    given = _given(params)
    preset = preset_of(facts) if params.get("preset") != "none" else None
    arguments = {**(preset.arguments if preset else {}), **given}
    if "negative_prompt" not in given and not _guidance_is_on(signature, arguments):
        arguments.pop("negative_prompt", None)
    return arguments


def size_arguments(
    signature: Signature, arguments: Mapping[str, Any], source: tuple[int, int] | None
) -> dict[str, Any]:
    """The arguments for the size of an edit. ``source`` is the source's width and height if the edit is to have them:
    they are rounded down to multiples of 16.
    """
    size = {name: arguments[name] for name in ("height", "width") if name in arguments}
    if source is not None:
        width, height = (max(_SIZE_STEP, side // _SIZE_STEP * _SIZE_STEP) for side in source)
        size = {"height": height, "width": width}
    area = AREA.get(signature.pipeline)
    if area is not None and len(size) == 2 and area not in arguments:
        size[area] = size["height"] * size["width"]
    return size


def refusals(signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]) -> Iterator[Refusal]:
    """What is set and would have no effect, or cannot be passed on."""
    name = signature.pipeline
    if signature.image is None or "prompt" not in signature:
        yield Refusal(("model_name",), f"the model is a {name}, which takes no source image with an instruction")
        return
    if name in NO_EDITORS:
        yield Refusal(("model_name",), f"the model is a {name}, which {NO_EDITORS[name]}")
        return
    if params.get("images") == "all" and name in ONE_IMAGE:
        yield Refusal(("images",), f"the model is a {name}, which takes one source image", "write `images: first`")
    yield from _lacking(signature, params)
    yield from _ignored_guidance(signature, facts, params)
    yield from _guidance_without_effect(signature, facts, params)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: params[name] for name in KEYS if params.get(name) is not None}
    return {**own, **(params.get(MORE) or {})}


def _lacking(signature: Signature, params: Mapping[str, Any]) -> Iterator[Refusal]:
    """Arguments that the class does not have, or that are the editor's own."""
    for key in KEYS:
        if params.get(key) is not None and key not in signature:
            yield Refusal((key,), f"a {signature.pipeline} has no argument {key}", _instead(key, signature))
    for name in params.get(MORE) or {}:
        if name in KEYS:
            yield Refusal((MORE, name), "has a key of its own", f"write {name} beside {MORE}")
        elif name in _RESERVED or any(part in name for part in _RESERVED_PARTS) or name.startswith("_"):
            yield Refusal((MORE, name), "is set by the editor for each edit", "leave it out")
        elif name not in signature:
            yield Refusal((MORE, name), f"a {signature.pipeline} has no argument {name}", "leave it out")
    if params.get("output_size") == "source" and not ("height" in signature and "width" in signature):
        message = f"a {signature.pipeline} has no arguments height and width: it chooses the size itself"
        yield Refusal(("output_size",), message, "write `output_size: pipeline`")


def _instead(key: str, signature: Signature) -> str:
    others = [name for name in KEYS if name.endswith("_scale") and name in signature] if key.endswith("_scale") else []
    return f"its guidance is {' and '.join(others)}" if others else "leave it out"


def _ignored_guidance(signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]) -> Iterator[Refusal]:
    """``guidance_scale`` on a checkpoint that has no use for it."""
    name, given = signature.pipeline, params.get("guidance_scale") is not None
    instead = "write true_cfg_scale instead" if "true_cfg_scale" in signature else "leave it out"
    if name in EMBEDDED_GUIDANCE and facts.guidance_embeds is False and given:
        message = f"a {name} ignores it for this model, which is not guidance-distilled"
        why = "transformer/config.json has no true guidance_embeds"
        yield Refusal(("guidance_scale",), f"{message} ({why})", instead)
    if (
        name in EMBEDDED_GUIDANCE
        and facts.guidance_embeds
        and signature.arguments["guidance_scale"] is None
        and not given
    ):
        message = f"is missing: this model is guidance-distilled, and a {name} has no default for it"
        yield Refusal(("guidance_scale",), message, "write a number, such as 1.0")
    if name in DISTILLED_WITHOUT_GUIDANCE and facts.distilled and given:
        message = f"a {name} ignores it for this model, which is distilled (model_index.json: is_distilled)"
        yield Refusal(("guidance_scale",), message, "leave it out")


def _guidance_without_effect(
    signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]
) -> Iterator[Refusal]:
    """Guidance without what it needs, and what needs guidance without it."""
    arguments = arguments_of(signature, facts, params)
    negative, scale = arguments.get("negative_prompt"), params.get("true_cfg_scale")
    if "true_cfg_scale" in signature and scale is not None and scale > 1 and negative is None:
        message = f"{scale:g} has no effect without a negative_prompt"
        yield Refusal(("true_cfg_scale",), message, 'write `negative_prompt: " "`: a blank is enough')
    if params.get("negative_prompt") is not None and "negative_prompt" in signature:
        distilled = signature.pipeline in DISTILLED_WITHOUT_GUIDANCE and facts.distilled
        if distilled or not _guidance_is_on(signature, arguments):
            guide = _guide(signature)
            value = f" ({guide} is {_value(signature, arguments, guide):g})" if guide else ""
            yield Refusal(("negative_prompt",), f"has no effect without guidance{value}", "leave it out")
    lowest = IMAGE_GUIDANCE_FROM.get(signature.pipeline)
    if lowest is None:
        return
    image, text = (_value(signature, arguments, name) for name in ("image_guidance_scale", "guidance_scale"))
    if image < lowest and params.get("image_guidance_scale") is not None:
        message = f"below {lowest:g}, a {signature.pipeline} switches off all guidance, guidance_scale too"
        yield Refusal(("image_guidance_scale",), message, f"write {lowest:g} or more, or `guidance_scale: 1`")
    elif text <= 1 and params.get("image_guidance_scale") is not None:
        message = f"has no effect with guidance_scale {text:g}"
        yield Refusal(("image_guidance_scale",), message, "leave it out, or set guidance_scale above 1")


def _guide(signature: Signature) -> str | None:
    """The argument that says how far the instruction is followed against the negative prompt."""
    return next((name for name in ("true_cfg_scale", "guidance_scale") if name in signature), None)


def _guidance_is_on(signature: Signature, arguments: Mapping[str, Any]) -> bool:
    guide = _guide(signature)
    threshold = GUIDANCE_ABOVE.get(signature.pipeline, 1.0)
    return guide is not None and _value(signature, arguments, guide) > threshold


def _value(signature: Signature, arguments: Mapping[str, Any], name: str) -> float:
    value = arguments.get(name, signature.arguments.get(name))
    return float(value) if isinstance(value, int | float) else 0.0
