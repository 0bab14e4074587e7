"""Editors on devices that cannot hold their models: the same edits, with a part of the weights there at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.tiny_models.pipelines import build_pipeline
from tests.set_up import tiny_model
from tests.workers.models.editors.tiny_classes import CopyingEditor, request, spec
from tests.workers.models.editors.tiny_edits import edit, loaded
from tests.workers.models.editors.tiny_edits import request as qwen_request
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

UNMAPPED = 64
"""Bytes of the buffers that are in no file."""


class CopyingQwenEditor(QwenImageEditEditor):
    """Weights move between two places in CPU memory."""

    SECOND_COPY = True


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    return edit(loaded(tiny_model("editor")), qwen_request(steps=2))


def offloaded(kind: type[Any], folder: Path, offload: str) -> Any:
    given = spec(folder)
    given.params["offload"] = offload
    editor = kind(given, "cpu")
    editor.load("device")
    return editor


def places(editor: Any) -> dict[str, int]:
    """Where the first weight of each component lies in memory."""
    parts = {name: part for name, part in editor._pipeline.components.items() if hasattr(part, "parameters")}
    return {name: next(part.parameters()).data_ptr() for name, part in parts.items()}


def test_one_component_at_a_time_is_on_the_device_and_the_edits_are_the_same(whole: np.ndarray) -> None:
    editor = offloaded(CopyingQwenEditor, tiny_model("editor"), "model")
    homes = places(editor)
    assert np.array_equal(edit(editor, qwen_request(steps=2)), whole)
    assert [name for name, place in places(editor).items() if place != homes[name]] == ["vae"]
    assert editor.host_bytes() == UNMAPPED
    editor.place("host")
    assert places(editor) == homes
    editor.place("device")
    assert np.array_equal(edit(editor, qwen_request(steps=2)), whole)


def test_layers_come_to_the_device_one_by_one_and_the_edits_are_the_same(whole: np.ndarray) -> None:
    editor = offloaded(QwenImageEditEditor, tiny_model("editor"), "group")
    for residency in ("device", "host", "device"):
        editor.place(residency)
    assert np.array_equal(edit(editor, qwen_request(steps=2)), whole)
    assert editor.host_bytes() == UNMAPPED


@pytest.mark.parametrize("offload", ["model", "group"])
def test_any_pipeline_is_offloaded(offload: str, tmp_path: Path) -> None:
    build_pipeline("FluxKontextPipeline", tmp_path)
    wanted = request(height=64, width=64)
    edits = [offloaded(CopyingEditor, tmp_path, way).edit(wanted, lambda *_: None) for way in ("none", offload)]
    assert np.array_equal(*map(np.asarray, edits))
