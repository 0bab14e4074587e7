"""Items with several source images: an editor gets the first or all; a resumed run makes only what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.protocols.kris import PROTOCOL
from tests.harness import User, picture

SIDE_BY_SIDE = """
from PIL import Image

from workers.interface import Editor


class SideBySide(Editor):
    def load(self, residency):
        pass

    def edit(self, request, progress):
        width = sum(image.width for image in request.images)
        edit = Image.new("RGB", (width, max(image.height for image in request.images)))
        left = 0
        for image in request.images:
            edit.paste(image, (left, 0))
            left += image.width
        return edit
"""


def benchmark_of_several_images(folder: Path) -> Path:
    """A category of KRIS-Bench with an item of three source images and one of a single image."""
    category = folder / "kris" / "multi-element_composition"
    category.mkdir(parents=True)
    for number, size in enumerate([(40, 30), (50, 20), (60, 10)], 1):
        picture(size).save(category / f"{number}.png")
    items = {
        "1": {"ori_img": ["1.png", "2.png", "3.png"], "ins_en": "Combine them.", "explain_en": ""},
        "2": {"ori_img": "2.png", "ins_en": "Make it red.", "explain_en": ""},
    }
    (category / "annotation.json").write_text(json.dumps(items), encoding="utf-8")
    return folder / "kris"


def sizes(user: User) -> list[tuple[str, list[int]]]:
    return [(row["pair_id"], row["size"]) for row in user.rows("edited")]


@pytest.mark.slow
def test_all_source_images_reach_the_editor_and_only_edits_with_several_are_made_again(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "collage.py").write_text(SIDE_BY_SIDE, encoding="utf-8")
    data = benchmark_of_several_images(tmp_path)

    def config(**params: Any) -> Path:
        return user.config(
            benchmark={"data_path": str(data)},
            diffusion_model={"class_path": "collage.SideBySide", "params": {"device": "cpu", **params}},
            reward_model={"type": "simulated", "params": {"device": "cpu", "latency_ms": 1}},
            evaluation={"save_generated_images": True},
        )

    result = user.run_config(config())
    assert result.code == 0, result.output
    assert sorted(sizes(user)) == [("1", [40, 30]), ("2", [50, 20])]
    result = user.run_config(config(images="all"), "--resume", "latest")
    assert result.code == 0, result.output
    assert sizes(user)[2:] == [("1", [150, 30])], "the edit of a single image is the same as before"
    assert 'changed: editor.parameters.images null -> "all"' in result.output
    result = user.run_config(config(images="all"), "--resume", "latest")
    assert result.code == 0, result.output
    assert len(sizes(user)) == 3
    assert user.report()["status"] == "COMPLETE"
    assert user.left_over() == []


PROMPTS = {
    "prompt_consist": "Is the rest as it was? Instruction: {instruct}",
    "prompt_instruction_following": "Was it followed? Instruction: {instruct}",
    "prompt_consist_multi": "Are the elements those of the references? Instruction: {instruct}",
    "prompt_instruction_multi": "Were they combined? Instruction: {instruct}",
    "prompt_quality": "Is it a good picture?",
}


def official_prompts(folder: Path) -> Path:
    """An official folder of KRIS-Bench with prompts of its form."""
    official = folder / "official"
    for path in PROTOCOL.official.paths:
        (official / path).parent.mkdir(parents=True, exist_ok=True)
        texts = [f"{name} = {text!r}" for name, text in PROMPTS.items()] if path.endswith("/prompts.py") else []
        (official / path).write_text("\n".join(texts), encoding="utf-8")
    return official
