"""Source images in the form that a pipeline takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from workers.models.editors.pipeline_sources import fitting_size, prepared_sources

GLM_LIMITS = SimpleNamespace(
    processor=SimpleNamespace(
        image_processor=SimpleNamespace(size={"shortest_edge": 512 * 512, "longest_edge": 2048 * 2048})
    )
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 768), (1024, 768)),
        ((1000, 700), (992, 704)),
        ((64, 64), (512, 512)),
        ((300, 900), (512, 1536)),
        ((4096, 3000), (2048, 1504)),
        ((200, 4000), (512, 2048)),
    ],
)
def test_a_size_keeps_about_its_ratio_within_the_limits_in_steps(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitting_size(size, 32, 512, 2048) == expected


def test_only_a_class_that_needs_it_gets_its_sources_in_another_size() -> None:
    source = Image.new("RGB", (1000, 700))
    assert prepared_sources("FluxKontextPipeline", None, [source])[0] is source
    first, second = prepared_sources("GlmImagePipeline", GLM_LIMITS, [source, Image.new("RGB", (512, 640))])
    assert (first.size, second.size) == ((992, 704), (512, 640))


def test_only_a_class_that_sees_transparency_gets_it() -> None:
    source = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert prepared_sources("QwenImage21Pipeline", None, [source])[0] is source
    (flat,) = prepared_sources("FluxKontextPipeline", None, [source])
    assert flat.getpixel((0, 0)) == (255, 255, 255)
