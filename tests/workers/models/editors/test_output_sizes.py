"""The size of an edit for which none is asked: the real Qwen pipelines of diffusers choose one of about a megapixel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.models.editors.tiny_edits import loaded, picture
from workers.interface import EditRequest

pytestmark = pytest.mark.slow

PARAMETERS = {"num_inference_steps": 2, "true_cfg_scale": 1.0}


def test_without_a_size_the_output_has_the_shape_of_the_source_at_one_megapixel(tiny_editor_path: Path) -> None:
    request = EditRequest(picture(size=(322, 156)), "变亮", 42, "a/1", {**PARAMETERS, "height": None, "width": None})
    assert loaded(tiny_editor_path).edit(request, lambda *_: None).size == (1472, 704)


def test_without_a_size_the_output_has_the_shape_of_the_last_of_several_images(tiny_plus_editor_path: Path) -> None:
    images = (picture(), picture(size=(96, 48)))
    request = EditRequest(images[0], "变亮", 42, "a/1", PARAMETERS, images=images)
    assert loaded(tiny_plus_editor_path).edit(request, lambda *_: None).size == (1440, 736)
