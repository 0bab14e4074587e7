"""The processor of a Qwen VL model, built from the files that a checkpoint has on the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from workers.models.processors import load_processor

pytestmark = pytest.mark.slow

PROMPT = "<|vision_start|><|image_pad|><|vision_end|>变亮"


def image_tokens(processor: object, size: tuple[int, int]) -> int:
    inputs = processor(text=[PROMPT], images=[Image.new("RGB", size)], return_tensors="pt")  # type: ignore[operator]  # transformers' classes are Any
    return int((inputs["input_ids"] == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")).sum())  # type: ignore[attr-defined]  # likewise


@pytest.fixture
def folder(tiny_editor_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_editor_path / "processor", tmp_path / "processor"))


def test_it_is_of_the_class_that_the_files_name(tiny_editor_path: Path) -> None:
    from transformers import Qwen2VLProcessor

    assert isinstance(load_processor(str(tiny_editor_path), subfolder="processor"), Qwen2VLProcessor)


@pytest.mark.parametrize("name", ["Qwen2_5_VLProcessor", "Qwen3VLProcessor"])
def test_it_is_built_for_the_other_qwen_vl_models_too(folder: Path, name: str) -> None:
    import transformers

    config = folder / "preprocessor_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("Qwen2VLProcessor", name), encoding="utf-8")
    processor = load_processor(str(folder))
    assert isinstance(processor, getattr(transformers, name))
    assert image_tokens(processor, (112, 112)) == 16


def test_images_are_made_as_large_as_the_files_say(folder: Path) -> None:
    assert image_tokens(load_processor(str(folder)), (500, 500)) == 16
    config = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    config["size"] = {"shortest_edge": 56 * 56, "longest_edge": 56 * 56}
    del config["min_pixels"], config["max_pixels"]
    (folder / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert image_tokens(load_processor(str(folder)), (500, 500)) == 4


def test_limits_that_are_passed_go_before_those_of_the_files(folder: Path) -> None:
    assert image_tokens(load_processor(str(folder), max_pixels=84 * 84), (500, 500)) == 9
    assert image_tokens(load_processor(str(folder), min_pixels=112 * 112), (30, 30)) == 16


def test_the_processors_own_chat_template_goes_before_the_tokenizers(folder: Path) -> None:
    (folder / "chat_template.json").write_text('{"chat_template": "{{ messages[0].content }}"}', encoding="utf-8")
    processor = load_processor(str(folder))
    assert processor.apply_chat_template([{"role": "user", "content": "好"}]) == "好"


def test_prompts_of_a_batch_are_padded(tiny_editor_path: Path) -> None:
    processor = load_processor(str(tiny_editor_path), subfolder="processor")
    images = [Image.new("RGB", (56, 56)), Image.new("RGB", (112, 112))]
    inputs = processor(text=[PROMPT, PROMPT + "很长的指令"], images=images, padding=True, return_tensors="pt")
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 4], [1, 8, 8]]


def test_files_that_name_no_processor_are_refused(folder: Path) -> None:
    config = folder / "preprocessor_config.json"
    config.write_text(
        config.read_text(encoding="utf-8").replace("Qwen2VLProcessor", "LlavaProcessor"), encoding="utf-8"
    )
    with pytest.raises(ValueError, match="names the processor 'LlavaProcessor'; known are Qwen2VLProcessor"):
        load_processor(str(folder))
