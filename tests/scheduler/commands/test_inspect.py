"""``warmbench inspect``: models, data of every kind, and what is wrong with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scheduler.commands.main import main
from tests.scheduler.benchmark.make import image_bytes, pair, write_json


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than in a folder with official files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")


def inspected(capsys: pytest.CaptureFixture[str], path: Path, *options: str, code: int = 0) -> list[str]:
    """The lines that are printed."""
    assert main(["inspect", str(path), *options]) == code
    captured = capsys.readouterr()
    return (captured.out + captured.err).splitlines()


def imgedit(folder: Path, **items: Any) -> Path:
    (folder / "a.png").write_bytes(image_bytes((30, 20)))
    (folder / "basic_edit.json").write_text(json.dumps(items))
    return folder


GOOD = {"id": "a.png", "prompt": "Add a hat.", "edit_type": "add"}


def test_a_pipeline_has_its_class_components_parameters_and_packages(
    capsys: pytest.CaptureFixture[str], tiny_editor_path: Path
) -> None:
    lines = inspected(capsys, tiny_editor_path)
    assert lines[1].startswith("Class: QwenImageEditPipeline of diffusers, saved with 0.")
    assert any(line.startswith("  transformer: QwenImageTransformer2DModel, ") for line in lines)
    assert any(line.startswith("Needs: diffusers (0.") and "torch (2." in line for line in lines)


def test_a_reward_has_the_class_of_its_config_and_the_size_of_its_files(
    capsys: pytest.CaptureFixture[str], tiny_reward_path: Path
) -> None:
    from safetensors import safe_open

    lines = inspected(capsys, tiny_reward_path)
    assert lines[1].startswith("Class: Qwen3VLForConditionalGeneration of transformers")
    with safe_open(tiny_reward_path / "model.safetensors", "np") as file:
        count = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118 - it is no mapping
    assert any(line.startswith(f"Parameters: {count:,} in ") for line in lines)


def test_an_editor_and_a_judge_on_one_gpu(
    capsys: pytest.CaptureFixture[str], tiny_editor_path: Path, tiny_reward_path: Path, tmp_path: Path
) -> None:
    for one, other in ((tiny_editor_path, tiny_reward_path), (tiny_reward_path, tiny_editor_path)):
        lines = inspected(capsys, one, "--with", str(other))
        heading = lines.index("On one GPU, editor and reward:")
        assert [line.strip() for line in lines[heading + 1 : heading + 5]] == [
            "24 GB: resident",
            "48 GB: resident",
            "80 GB: resident",
            "141 GB: resident",
        ]
    assert main(["inspect", str(tiny_editor_path), "--with", str(tiny_editor_path)]) == 2
    assert "one editor and one judge share a GPU" in capsys.readouterr().out
    assert main(["inspect", str(tiny_editor_path), "--with", str(tmp_path)]) == 2
    assert f"Problem: {tmp_path} is no model" in capsys.readouterr().out.replace("\n", "")


def test_a_model_that_was_cut_off_is_exit_code_2_with_the_file(
    capsys: pytest.CaptureFixture[str], tiny_reward_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny_reward_path, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert any("model.safetensors has" in line for line in inspected(capsys, folder, code=2))
    (folder / "config.json").write_text("[")
    assert any("Problem: config.json cannot be read" in line for line in inspected(capsys, folder, code=2))


def test_data_has_its_format_counts_and_every_bad_pair(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    content = {"c": [pair("good"), pair("empty", edit_instruction=""), pair("\x1b[31mred")], "d": [pair("x")]}
    lines = inspected(capsys, write_json(tmp_path, content), code=3)
    assert "Items: 4, 2 good, 2 bad" in lines
    assert "Categories: c 3, d 1" in lines
    assert "Images: source 2" in lines
    assert "Sizes: 8 x 6 to 8 x 6 pixels" in lines
    assert "Protocol: none judges data of this format; a config's prompts do" in lines
    assert lines[-3:] == [
        "2 of 4 pairs can't be used:",
        "  c/empty: no_instruction: edit_instruction is empty",
        "  c/#3: bad_id: pair_id '\\x1b[31mred' holds a control character",
    ]


def test_data_without_a_good_pair_or_of_no_format_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inspected(capsys, write_json(tmp_path, {"c": [pair("x", edit_instruction="")]}), code=2)
    assert "there is no such file or folder" in inspected(capsys, tmp_path / "none", code=2)[0]
    (tmp_path / "text.txt").write_text("words")
    assert "this is no JSON" in inspected(capsys, tmp_path / "text.txt", code=2)[0]


def test_a_benchmark_says_what_would_be_asked_of_the_judge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    imgedit(data, **{"1": GOOD})
    lines = inspected(capsys, data)
    assert "Warning: the file has 1 item; the published one has 737" in lines
    assert any("git clone https://github.com/PKU-YuanGroup/ImgEdit" in line for line in lines)
    prompts = tmp_path / "ImgEdit" / "Benchmark" / "Basic" / "prompts.json"
    prompts.parent.mkdir(parents=True)
    prompts.write_text(json.dumps({"add": "Rate this:\n<edit_prompt>"}))
    for options in ((), ("--official", str(tmp_path / "ImgEdit"))):
        lines = inspected(capsys, data, *options)
        assert f"Official files: {tmp_path / 'ImgEdit'}" in lines
        assert any(line.startswith("Warning: The protocol was tried with commit") for line in lines)
        start = lines.index("About an edit of add/1 the judge would be asked:")
        assert lines[start + 2 : start + 7] == [
            "    [text]",
            "      Rate this:",
            "      Add a hat.",
            "    [image: source, 30 x 20 pixels, as it is]",
            "    [image: edit, as it is]",
        ]


def test_a_pair_that_the_protocol_cannot_judge_is_bad(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prompts = tmp_path / "Benchmark" / "Basic" / "prompts.json"
    prompts.parent.mkdir(parents=True)
    prompts.write_text(json.dumps({"add": "Rate <edit_prompt>"}))
    lines = inspected(capsys, imgedit(tmp_path, **{"1": GOOD, "2": {**GOOD, "edit_type": "removal"}}), code=3)
    assert any(line.startswith("  removal/2: bad_field: imgedit cannot judge it: ") for line in lines)


@pytest.mark.parametrize(
    ("prompt", "reason"), [("Rate it", "lacks <edit_prompt>"), ("\ud800<edit_prompt>", "surrogates")]
)
def test_a_prompt_that_cannot_be_asked_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, prompt: str, reason: str
) -> None:
    prompts = tmp_path / "Benchmark" / "Basic" / "prompts.json"
    prompts.parent.mkdir(parents=True)
    prompts.write_text(json.dumps({"add": prompt}))
    lines = inspected(capsys, imgedit(tmp_path, **{"1": GOOD}))
    assert any(line.startswith("Official files: ") and reason in line for line in lines)


def test_fields_of_other_names_are_given_one_by_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    path = tmp_path / "data.jsonl"
    path.write_text('{"what": "x", "img": "a.png", "more": "a.png"}\n')
    assert "set benchmark.fields.instruction" in inspected(capsys, path, code=2)[0]
    fields = [f"--field={text}" for text in ("instruction=what", "image=img", "sources=more")]
    assert "Images: source 1, source_2 1" in inspected(capsys, path, *fields)
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", str(path), "--field", "x=y"])


def test_a_language_that_the_data_lacks_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = inspected(capsys, write_json(tmp_path, {"c": [pair()]}), "--language", "en", code=2)
    assert lines == ["data of the format json has no language 'en'; leave it out"]
