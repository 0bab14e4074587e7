"""What a config asks of its workers: what they load (``ModelSpec``), and what each edit or batch is to be like.

A spec holds only what decides what is loaded, so that two runs that differ in steps or seeds share warm workers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from protocol.messages import ModelSpec
from scheduler.config.checks.model_lookup import local_folder
from scheduler.config.document import Config
from scheduler.config.editor_models import EditorParams, OwnEditorParams, SimulatedEditorParams
from scheduler.config.reward_models import OwnRewardParams, RewardParams, SimulatedRewardParams
from scheduler.config.simulation import SIMULATION_KEYS, Simulation

_EDIT_KEYS = ("num_inference_steps", "true_cfg_scale", "negative_prompt", "height", "width")
_BATCH_KEYS = ("use_batch_inference", "batch_size")
_SCORE_KEYS = (
    "scoring",
    "score_range",
    "max_new_tokens",
    "use_batch_inference",
    "batch_size",
    "min_pixels",
    "max_pixels",
    "compare_with_original",
)


def editor_spec(config: Config) -> ModelSpec:
    """What every editor loads. A local model's name is absolute."""
    section = config.diffusion_model
    params: dict[str, Any] = {"threads_per_worker": section.params.threads_per_worker}
    if section.holds_gpu:
        params |= {"dtype": section.params.dtype, "optimizations": section.params.optimizations.switched_on()}
    params |= _of_loading(section.params)
    return ModelSpec(
        role="editor",
        type=section.type,
        class_path=section.class_path,
        name=_model_name(section.params.model_name),
        params=params,
    )


def reward_spec(config: Config) -> ModelSpec:
    """What every reward loads. A local model's name is absolute."""
    section = config.reward_model
    params: dict[str, Any] = {"threads_per_worker": section.params.threads_per_worker}
    if section.holds_gpu:
        params |= {"dtype": section.params.dtype, "use_flash_attention": section.params.use_flash_attention}
    params |= _of_loading(section.params)
    return ModelSpec(
        role="reward",
        type=section.type,
        class_path=section.class_path,
        name=_model_name(section.params.model_name),
        params=params,
    )


def edit_parameters(config: Config) -> dict[str, Any]:
    """What every edit is to be like, beside its instruction and seed."""
    params = config.diffusion_model.params
    return {name: getattr(params, name) for name in _EDIT_KEYS} | _of_work(params)


def score_parameters(config: Config) -> dict[str, Any]:
    """How every batch is to be scored; ``batch_size`` is 1 without ``use_batch_inference``."""
    params = config.reward_model.params
    chosen = {name: getattr(params, name) for name in _SCORE_KEYS}
    chosen |= {"batch_size": params.effective_batch_size, "score_range": list(params.score_range)}
    return chosen | _of_work(params)


def edit_identity_parameters(config: Config) -> dict[str, Any]:
    """Those of ``edit_parameters`` that change pixels; how long a simulated device takes does not."""
    return _without(edit_parameters(config), _timing(config.diffusion_model.params))


def score_identity_parameters(config: Config) -> dict[str, Any]:
    """Those of ``score_parameters`` that a score depends on. How many are scored at once is none: a batch is split
    anyway where memory is short.
    """
    return _without(score_parameters(config), (*_BATCH_KEYS, *_timing(config.reward_model.params)))


def _without(parameters: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in names}


def _timing(params: EditorParams | RewardParams) -> tuple[str, ...]:
    return (*SIMULATION_KEYS, "per_item_ms") if isinstance(params, Simulation) else ()


def _model_name(name: str | None) -> str | None:
    return None if name is None else local_folder(name)


def _of_loading(params: EditorParams | RewardParams) -> dict[str, Any]:
    if isinstance(params, Simulation):
        return {"load_seconds": params.load_seconds, "place_seconds": params.place_seconds}
    return _free(params)


def _of_work(params: EditorParams | RewardParams) -> dict[str, Any]:
    if isinstance(params, SimulatedEditorParams | SimulatedRewardParams):
        chosen = {name: getattr(params, name) for name in SIMULATION_KEYS} | {"faults": params.faults.switched_on()}
        if isinstance(params, SimulatedRewardParams):
            chosen |= {"per_item_ms": params.per_item_ms, "prefers": params.prefers}
        return chosen
    return _free(params)


def _free(params: EditorParams | RewardParams) -> dict[str, Any]:
    return dict(params.model_extra or {}) if isinstance(params, OwnEditorParams | OwnRewardParams) else {}
