"""What one run asks of the reward model, checked by what its keys declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from workers.interface import ModelError
from workers.models.declaration import Key, is_range
from workers.models.keys import REWARD_KEYS, judging_conflicts

_KEYS = [key for key in REWARD_KEYS if key.affects in {"run", "speed"}]


class RewardSettings(Struct, frozen=True):
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
    """Check the parameters that a reward knows; others are ignored, and missing ones have their defaults.

    Raises:
        ModelError: of kind ``config``, naming the parameter.
    """
    values = {key.name: parameters.get(key.name, key.default) for key in _KEYS}
    for key in _KEYS:
        if not _fits(key, values[key.name]):
            raise ModelError("config", f"reward_model.params.{key.name} can't be {values[key.name]!r}")
    for conflict in judging_conflicts(values):
        raise ModelError("config", f"reward_model.params.{conflict.keys[0][0]}: {conflict.message}")
    low, high = values["score_range"]
    return RewardSettings(
        scoring=values["scoring"],
        low=low,
        high=high,
        max_new_tokens=values["max_new_tokens"],
        batch_size=values["batch_size"] if values["use_batch_inference"] else 1,
        min_pixels=values["min_pixels"],
        max_pixels=values["max_pixels"],
        compare_with_original=values["compare_with_original"],
    )


def _fits(key: Key, value: Any) -> bool:
    """Whether a value is of the key's kind and within its bounds."""
    if key.kind == "bool":
        return isinstance(value, bool)
    if key.kind == "choice":
        return value in key.choices
    if key.kind == "range":
        return is_range(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (value is None and key.default is None) or (whole and (key.low or 0) <= value <= (key.high or value))
