"""Pipelines that work on a sixteenth of a megapixel where their class works on one: that takes a fifth of the time.

For tests in which the size of what a pipeline makes of its source does not count.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import pytest

_FACTOR = 4
"""By which a side is shorter."""

_WITH_AN_AREA = (
    "qwenimage.pipeline_qwenimage_edit",
    "qwenimage.pipeline_qwenimage_edit_plus",
    "longcat_image.pipeline_longcat_image_edit",
)


def with_small_sources(patch: pytest.MonkeyPatch) -> None:
    """Let the classes that choose the size of their source, or of their edit, choose a smaller one."""
    for name in _WITH_AN_AREA:
        module = _module(name)
        patch.setattr(module, "calculate_dimensions", functools.partial(_smaller, module.calculate_dimensions))
    kontext = _module("flux.pipeline_flux_kontext")
    sizes = "PREFERRED_KONTEXT_RESOLUTIONS"
    patch.setattr(kontext, sizes, _divided(getattr(kontext, sizes)))
    buckets = _module("joyimage.image_processor").BUCKETS
    patch.setitem(buckets, 1024, _divided(buckets[1024]))
    kandinsky = _module("kandinsky5.pipeline_kandinsky_i2i").Kandinsky5I2IPipeline
    patch.setattr(kandinsky, "__init__", _with_smaller_resolutions(kandinsky.__init__))


def _module(name: str) -> Any:
    return importlib.import_module(f"diffusers.pipelines.{name}")


def _smaller(calculate: Any, target_area: int, ratio: float) -> Any:
    return calculate(target_area // _FACTOR**2, ratio)


def _divided(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(first // _FACTOR, second // _FACTOR) for first, second in sizes]


def _with_smaller_resolutions(initialize: Any) -> Any:
    @functools.wraps(initialize)
    def initialized(pipeline: Any, *args: Any, **kwargs: Any) -> None:
        initialize(pipeline, *args, **kwargs)
        pipeline.resolutions = _divided(pipeline.resolutions)

    return initialized
