"""What a run is called in headings: its checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.store.titles import run_title, run_titles


@pytest.mark.parametrize(
    ("manifest", "title"),
    [
        ({"editor": {"type": "qwen_image_edit", "model_name": "/data/run-3/checkpoints/900/"}}, "checkpoints/900"),
        ({"editor": {"type": "qwen_image_edit", "model_name": "Qwen/Qwen-Image-Edit"}}, "Qwen/Qwen-Image-Edit"),
        ({"editor": {"type": "simulated", "model_name": None}}, "simulated"),
        ({"editor": None, "edits": {"made": "elsewhere", "from": "/theirs/images"}}, "theirs/images"),
        ({"editor": {"model_name": "a\n\ud800"}}, "a\\n\\ud800"),
        ({"editor": [], "edits": "?"}, "20261121_091500"),
        ({}, "20261121_091500"),
    ],
)
def test_a_run_is_called_by_its_checkpoint_else_by_what_is_known(manifest: dict[str, Any], title: str) -> None:
    assert run_title(manifest, "20261121_091500") == title


def test_runs_of_one_checkpoint_are_told_apart_by_their_ids() -> None:
    editors = [{"editor": {"model_name": name}} for name in ("m/900", "m/1000", "m/900")]
    runs = [(manifest, str(number)) for number, manifest in enumerate([*editors, {}])]
    assert run_titles(runs) == ["m/900 0", "m/1000", "m/900 2", "3"]
