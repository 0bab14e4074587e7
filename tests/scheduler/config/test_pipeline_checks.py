"""What an editor of the type ``diffusers`` is refused before a run, as far as its files are there to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.checks.pipeline_checks import lacking_option, preset_facts, refused_arguments
from scheduler.config.loading import Overrides
from scheduler.config.requests import edit_identity_parameters, editor_spec
from tests.scheduler.config.written import load, only_problem, problems_of
from workers.models.editors.pipeline_facts import NEEDED_PACKAGES

CACHES = ["first_block_cache", "taylorseer_cache"]
SUPPORTED = ["compile_repeated_blocks", "attention_backend", *CACHES, "fp8"]
CONFIG = """\
diffusion_model:
  type: diffusers
  params: {{model_name: {name}, device: cpu, {params}}}
reward_model: {{type: simulated}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's cache, which is empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def model(folder: Path, pipeline: str, *, transformer: dict[str, Any] | None = None, **index: Any) -> Path:
    """A folder with what says which pipeline it is; a dry run reads no more."""
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **index}), encoding="utf-8")
    if transformer is not None:
        (folder / "transformer").mkdir()
        (folder / "transformer" / "config.json").write_text(json.dumps(transformer), encoding="utf-8")
    return folder


def problems(folder: Path, name: Path | str, params: str = "") -> list[tuple[str, str]]:
    (folder / "data.json").write_text("{}", encoding="utf-8")
    overrides = Overrides(data=folder / "data.json")
    found = problems_of(folder, CONFIG.format(name=name, params=params), overrides, Environment())
    return [(problem.path.removeprefix("diffusion_model.params."), problem.message) for problem in found]


@pytest.mark.parametrize(
    ("pipeline", "params", "key", "reason"),
    [
        ("QwenImageEditPipeline", "guidance_scale: 4", "guidance_scale", "not guidance-distilled"),
        ("QwenImageEditPlusPipeline", "guidance_scale: 1", "guidance_scale", "not guidance-distilled"),
        ("QwenImageEditPipeline", "true_cfg_scale: 4, preset: none", "true_cfg_scale", "without a negative_prompt"),
        ("FluxKontextPipeline", "true_cfg_scale: 4", "true_cfg_scale", "without a negative_prompt"),
        ("FluxKontextPipeline", "negative_prompt: bad", "negative_prompt", "no effect without guidance"),
        ("FluxKontextPipeline", "guidance_scale: 2", "guidance_scale", "not guidance-distilled"),
        ("Flux2KleinPipeline", "guidance_scale: 4", "guidance_scale", "is distilled (model_index.json: is_distilled)"),
        ("Flux2KleinKVPipeline", "guidance_scale: 4", "guidance_scale", "has no argument guidance_scale"),
        ("Flux2Pipeline", "negative_prompt: bad", "negative_prompt", "has no argument negative_prompt"),
        ("GlmImagePipeline", "true_cfg_scale: 4", "true_cfg_scale", "has no argument true_cfg_scale"),
        ("LongCatImageEditPipeline", "width: 512", "width", "has no argument width"),
        ("LongCatImageEditPipeline", "output_size: source", "output_size", "it chooses the size itself"),
        ("ChronoEditPipeline", "images: all", "images", "takes one source image"),
        ("StableDiffusionInstructPix2PixPipeline", "image_guidance_scale: 0.9", "image_guidance_scale", "switches off"),
        ("OmniGenPipeline", "pipeline_arguments: {strength: 1}", "pipeline_arguments.strength", "has no argument"),
        ("JoyImageEditPipeline", "height: 512", "height", "makes edits of its own sizes"),
        ("Kandinsky5I2IPipeline", "output_size: source", "output_size", "makes edits of its own sizes"),
        ("ZImageOmniPipeline", "dtype: float16", "dtype", "works in bfloat16 only"),
        ("QwenImage21Pipeline", "num_inference_steps: 20", "num_inference_steps", "has its own schedule"),
        ("ChronoEditPipeline", "pipeline_arguments: {num_frames: 9}", "pipeline_arguments.num_frames", "no effect"),
        ("BriaFiboEditPipeline", "pipeline_arguments: {seed: 1}", "pipeline_arguments.seed", "set by the editor"),
        ("DreamLitePipeline", "true_cfg_scale: 4", "true_cfg_scale", "has no argument true_cfg_scale"),
        ("JoyImageEditPlusPipeline", "negative_prompt: bad, guidance_scale: 1", "negative_prompt", "no effect without"),
        ("FluxPipeline", "seed: 1", "model_name", "which takes no source image with an instruction"),
        ("TheirPipeline", "seed: 1", "model_name", "which is no pipeline class of the installed diffusers"),
    ],
)
def test_what_would_be_ignored_is_refused_with_its_key_and_the_reason(
    tmp_path: Path, pipeline: str, params: str, key: str, reason: str
) -> None:
    folder = model(
        tmp_path / "model", pipeline, is_distilled=True, sample_sigmas=[1.0], transformer={"guidance_embeds": False}
    )
    ((path, message),) = [found for found in problems(tmp_path, folder, params) if "safetensors" not in found[1]]
    assert path == key
    assert reason in message
    assert "(line 3)" in message


def test_a_package_that_the_class_needs_is_named_if_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model(tmp_path / "model", "ChronoEditPipeline")
    monkeypatch.setitem(NEEDED_PACKAGES, "ChronoEditPipeline", "no_such_package")
    ((path, message),) = problems(tmp_path, folder)
    assert path == "model_name"
    assert "which needs the package no_such_package: it is not installed here" in message
    monkeypatch.setitem(NEEDED_PACKAGES, "ChronoEditPipeline", "json")
    assert problems(tmp_path, folder) == []


def test_a_good_config_and_a_model_that_is_not_here_yet_are_not_refused(tmp_path: Path) -> None:
    kontext = model(tmp_path / "kontext", "FluxKontextPipeline")
    assert problems(tmp_path, kontext, "guidance_scale: 2") == []
    config = load(tmp_path, CONFIG.format(name="owner/name", params="guidance_scale: 2"))
    assert refused_arguments(config.diffusion_model) == []
    assert preset_facts(config.diffusion_model) is None


def test_a_model_has_to_be_named_and_a_size_may_be_given_once(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {type: diffusers}")
    assert problem.path == "diffusion_model.params.model_name"
    problem = only_problem(
        tmp_path, "diffusion_model: {type: diffusers, params: {model_name: a, output_size: source, width: 64}}"
    )
    assert problem.path == "diffusion_model.params.output_size"


def test_the_arguments_of_every_edit_and_their_source_are_noted(tmp_path: Path) -> None:
    folder = model(tmp_path / "model", "QwenImageEditPlusPipeline")
    config = load(tmp_path, CONFIG.format(name=folder, params="true_cfg_scale: 5"))
    assert preset_facts(config.diffusion_model) == {
        "pipeline": "QwenImageEditPlusPipeline",
        "arguments": {"num_inference_steps": 40, "negative_prompt": " ", "true_cfg_scale": 5.0},
        "preset": {
            "arguments": {"num_inference_steps": 40, "negative_prompt": " "},
            "source": "GEditBench v2, `workflows/generation.py`",
        },
    }


def test_the_edition_of_the_presets_is_in_the_identity_of_edits_and_not_in_what_is_loaded(tmp_path: Path) -> None:
    preset, none = (load(tmp_path, CONFIG.format(name="a", params=params)) for params in ("seed: 0", "preset: none"))
    assert edit_identity_parameters(preset)["preset"] == "2026-11"
    assert edit_identity_parameters(preset) != edit_identity_parameters(none)
    assert editor_spec(preset) == editor_spec(none)


def test_a_transformer_that_was_trained_alone_must_be_whole_and_of_the_class_of_the_models_own(tmp_path: Path) -> None:
    base = model(tmp_path / "base", "FluxKontextPipeline", transformer={"guidance_embeds": True})
    index = {"_class_name": "FluxKontextPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}
    (base / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    weights = (2).to_bytes(8, "little") + b"{}"
    (base / "transformer" / "model.safetensors").write_bytes(weights)
    trained = tmp_path / "step-1" / "transformer"
    key = f"transformer_path: {trained}"
    assert problems(tmp_path, base, key) == [("transformer_path", f"there is no folder {trained} (line 3)")]
    trained.mkdir(parents=True)
    (trained / "config.json").write_text(json.dumps({"_class_name": "QwenImageTransformer2DModel"}), encoding="utf-8")
    assert problems(tmp_path, base, key) == [("transformer_path", f"the folder {trained} lacks *.safetensors (line 3)")]
    (trained / "model.safetensors").write_bytes(weights)
    ((path, message),) = problems(tmp_path, base, key)
    assert path == "transformer_path"
    expected = "the transformer of this FluxKontextPipeline has FluxTransformer2DModel"
    assert f"has the class QwenImageTransformer2DModel, and {expected}" in message
    (trained / "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel"}), encoding="utf-8")
    assert problems(tmp_path, base, key) == []
    ((path, message),) = problems(tmp_path, base, f"{key}, guidance_scale: 2")
    assert (path, "not guidance-distilled" in message) == ("guidance_scale", True), "what counts is the trained one"


@pytest.mark.parametrize(
    ("pipeline", "component", "denoiser", "options"),
    [
        ("QwenImageEditPipeline", "transformer", "QwenImageTransformer2DModel", []),
        ("Flux2KleinPipeline", "transformer", "Flux2Transformer2DModel", ["first_block_cache"]),
        ("FluxKontextPipeline", "transformer", "FluxTransformer2DModel", ["first_block_cache", "taylorseer_cache"]),
        ("StableDiffusionInstructPix2PixPipeline", "unet", "UNet2DConditionModel", CACHES),
        ("OmniGenPipeline", "transformer", "OmniGenTransformer2DModel", ["compile_repeated_blocks", *CACHES]),
    ],
)
def test_an_optimization_that_the_class_lacks_is_refused(
    tmp_path: Path, pipeline: str, component: str, denoiser: str, options: list[str]
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    index = {"_class_name": pipeline, component: ["diffusers", denoiser]}
    (base / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    section = load(tmp_path, CONFIG.format(name=base, params="seed: 0")).diffusion_model
    assert [name for name in SUPPORTED if lacking_option(section, name)] == options
    values = {"compile_repeated_blocks": "true", "taylorseer_cache": "2", "first_block_cache": "0.1"}
    for name in options:
        found = dict(problems(tmp_path, base, f"optimizations: {{{name}: {values[name]}}}"))
        reason = found[f"optimizations.{name}"]
        assert f"a {pipeline} does not tell" in reason or f"a {denoiser}" in reason


def test_without_optimizations_a_model_is_loaded_as_before_there_were_any(tmp_path: Path) -> None:
    specs = [
        editor_spec(load(tmp_path, CONFIG.format(name="a", params=params)))
        for params in ("seed: 0", "optimizations: {fp8: false}", "optimizations: {fp8: true}", "optimizations: exact")
    ]
    assert specs[0] == specs[1]
    assert "optimizations" not in specs[0].params
    assert [spec.params["optimizations"] for spec in specs[2:]] == [{"fp8": True}, {"compile_repeated_blocks": True}]
