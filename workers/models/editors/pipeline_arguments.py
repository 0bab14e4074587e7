"""Which arguments a pipeline gets for the parameters of a run, and which parameters would have no effect, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from workers.models.editors.pipeline_facts import (
    AREA,
    DISTILLED_WITHOUT_GUIDANCE,
    EMBEDDED_GUIDANCE,
    FITTED_SOURCES,
    GUIDANCE_ABOVE,
    IMAGE_GUIDANCE_FROM,
    NO_EDITORS,
    ONE_IMAGE,
    ONLY_DTYPE,
    ONLY_WITH,
    OWN_SIZES,
    SIZE_STEP,
    CheckpointFacts,
    Preset,
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
_SIZE = ("height", "width")
_SIZE_STEP = 16
_SIZE_OF_SOURCE = "use_input_image_size_as_output"
_RESERVED = ("prompt", "image", "images", "input_images", "generator", "seed", "output_type", "return_dict", "latents")
_RESERVED_PARTS = ("callback", "_embeds", "_per_prompt")


class Refusal(Struct, frozen=True):
    """A parameter that is wrong for a pipeline: its path below ``params``, what is wrong, and a hint."""

    key: tuple[str, ...]
    message: str
    hint: str | None = None


def arguments_of(signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for these parameters: what they say, before what the preset says.

    What neither says is left to the defaults of the class.
    """
    given = _given(params)
    preset = _preset(facts, params)
    arguments = {**(preset.arguments if preset else {}), **given}
    if "negative_prompt" not in given and not _guidance_is_on(signature, arguments):
        arguments.pop("negative_prompt", None)
    return arguments


def size_arguments(
    signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any], source: tuple[int, int]
) -> dict[str, Any]:
    """The arguments for the size of an edit of a source with this width and height.

    With ``output_size: source`` it is the source's, rounded down to multiples of 16 or of what the class needs.
    """
    arguments = arguments_of(signature, facts, params)
    size = {name: arguments[name] for name in _SIZE if name in arguments}
    scale = _scale(signature, facts, params, source)
    if scale is not None:
        step = SIZE_STEP.get(signature.pipeline, _SIZE_STEP)
        width, height = (max(step, round(side * scale) // step * step) for side in source)
        size = {"height": height, "width": width, **size}
    if len(size) == len(_SIZE):
        pixels = AREA.get(signature.pipeline)
        if pixels is not None and pixels not in arguments:
            size[pixels] = size["height"] * size["width"]
    if size and _SIZE_OF_SOURCE in signature:
        size[_SIZE_OF_SOURCE] = False
    return size


def _scale(
    signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any], source: tuple[int, int]
) -> float | None:
    """How much larger than its source an edit is to be; None if the pipeline or the run's parameters say its size."""
    if params.get("output_size") == "source" or signature.pipeline in FITTED_SOURCES:
        return 1.0
    preset = _preset(facts, params)
    if preset is None or preset.area is None or any(params.get(name) is not None for name in _SIZE):
        return None
    return float((preset.area / (source[0] * source[1])) ** 0.5)


def _preset(facts: CheckpointFacts, params: Mapping[str, Any]) -> Preset | None:
    return None if params.get("preset") == "none" else preset_of(facts)


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
    yield from dtype_refusals(name, params)
    yield from _lacking(signature, params)
    yield from _without_effect(signature, facts, params)
    yield from _ignored_guidance(signature, facts, params)
    yield from _guidance_without_effect(signature, facts, params)


def dtype_refusals(name: str, params: Mapping[str, Any]) -> Iterator[Refusal]:
    """A dtype in which the class ``name`` cannot work."""
    dtype = ONLY_DTYPE.get(name)
    if dtype is not None and params.get("dtype", dtype) != dtype:
        yield Refusal(("dtype",), f"a {name} works in {dtype} only", f"write `dtype: {dtype}`")


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


def _without_effect(signature: Signature, facts: CheckpointFacts, params: Mapping[str, Any]) -> Iterator[Refusal]:
    """Arguments that the class overrides."""
    name, more = signature.pipeline, params.get(MORE) or {}
    for (pipeline, argument), other in ONLY_WITH.items():
        if pipeline == name and argument in more and not more.get(other):
            yield Refusal((MORE, argument), f"has no effect without {other}", f"write `{other}: true` beside it")
    if facts.own_schedule and params.get("num_inference_steps") is not None:
        message = "has no effect: the model has its own schedule (model_index.json: sample_sigmas)"
        yield Refusal(("num_inference_steps",), message, "leave it out")
    sizes = [key for key in _SIZE if params.get(key) is not None]
    step = SIZE_STEP.get(name, 1)
    for key in sizes:
        if params[key] % step:
            yield Refusal((key,), f"a {name} makes edits with sides in multiples of {step} pixels", "round it")
    if params.get("output_size") == "source":
        sizes.append("output_size")
    if more.get(_SIZE_OF_SOURCE) and sizes:
        yield Refusal((MORE, _SIZE_OF_SOURCE), f"overrides {' and '.join(sizes)}", "keep one of the two")
    if name in OWN_SIZES and sizes:
        message = f"a {name} makes edits of its own sizes, of about a megapixel, in the ratio of the source"
        yield Refusal((sizes[0],), message, "leave it out")


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
