"""What one run asks of the reward model, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workers.interface import ModelError

SCORINGS = ("generate", "logits")


@dataclass(frozen=True)
class RewardSettings:
    """The parameters of a run.

    ``low`` and ``high`` are the ends of the scale; ``batch_size`` is the most rows (prompts about one edit) of one
    forward pass; ``min_pixels`` and ``max_pixels`` are what the model sees of an image, None for its own limits.
    """

    scoring: Literal["generate", "logits"]
    low: float
    high: float
    max_new_tokens: int
    batch_size: int
    min_pixels: int | None
    max_pixels: int | None
    compare_with_original: bool


def read_settings(parameters: Mapping[str, Any]) -> RewardSettings:
    """Check the parameters that a reward knows; others are passed over.

    Raises:
        ModelError: of kind ``config``, naming the parameter.
    """
    scoring = parameters.get("scoring", "generate")
    if scoring not in SCORINGS:
        raise _error("scoring", scoring, "must be generate or logits")
    low, high = _scale(parameters.get("score_range", [0, 10]))
    batch_size = _count(parameters, "batch_size", 4)
    min_pixels, max_pixels = _pixels(parameters, "min_pixels"), _pixels(parameters, "max_pixels")
    if min_pixels is not None and max_pixels is not None and min_pixels > max_pixels:
        raise _error("min_pixels", min_pixels, f"must not be above max_pixels, {max_pixels}")
    return RewardSettings(
        scoring=scoring,
        low=low,
        high=high,
        max_new_tokens=_count(parameters, "max_new_tokens", 128),
        batch_size=batch_size if _flag(parameters, "use_batch_inference", True) else 1,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        compare_with_original=_flag(parameters, "compare_with_original", False),
    )


def _scale(value: Any) -> tuple[float, float]:
    if isinstance(value, list | tuple) and len(value) == 2 and all(_is_number(end) for end in value):
        low, high = value
        if -1e6 < low < high < 1e6:
            return low, high
    raise _error("score_range", value, "must be two numbers, the lower one first")


def _pixels(parameters: Mapping[str, Any], name: str) -> int | None:
    return None if parameters.get(name) is None else _count(parameters, name, 1)


def _count(parameters: Mapping[str, Any], name: str, default: int) -> int:
    value = parameters.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _error(name, value, "must be an integer of at least 1")
    return value


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise _error(name, value, "must be true or false")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error(name: str, value: Any, what: str) -> ModelError:
    return ModelError("config", f"reward_model.params.{name} {what}, not {value!r}")
