"""What tests of editors share."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

_SHARE = 16


@pytest.fixture(scope="module")
def small_sources() -> Iterator[None]:
    """The Qwen pipelines work on a sixteenth of a megapixel, not on one: that takes a fifth of the time.

    For tests in which the size of what a pipeline makes of its source does not count.
    """
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

    with pytest.MonkeyPatch.context() as patch:
        for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus):
            patch.setattr(module, "calculate_dimensions", functools.partial(_smaller, module.calculate_dimensions))
        yield


def _smaller(calculate: Any, target_area: int, ratio: float) -> Any:
    return calculate(target_area // _SHARE, ratio)
