"""What keeps a run with a protocol from being prepared is a problem of the config; what is prepared is recorded."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.config.loading import Overrides
from scheduler.config.problems import ConfigError
from scheduler.run.prepare import Prepared, prepare
from scheduler.run.record import Record
from scheduler.store.run_directory import RunDirectory

PROMPTS = "Benchmark/Basic/prompts.json"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config for ImgEdit-Bench with two items, of which the second is of an unknown type."""
    items = {
        str(number): {"id": "a.png", "prompt": "Add a cat.", "edit_type": edit_type}
        for number, edit_type in enumerate(("add", "paint"))
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "data/basic_edit.json").write_text(json.dumps(items))
    Image.new("RGB", (8, 8)).save(tmp_path / "data/a.png")
    settings = {
        "benchmark": {
            "data_path": str(tmp_path / "data"),
            "protocol": "imgedit",
            "official": str(tmp_path / "ImgEdit"),
        },
        "diffusion_model": {"type": "identity"},
        "reward_model": {"type": "openai", "params": {"model_name": "gpt-4o", "base_url": "http://127.0.0.1:1/v1"}},
        "evaluation": {"output_dir": str(tmp_path / "outputs")},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def write_prompts(config: Path, prompts: object) -> None:
    file = config.parent / "ImgEdit" / PROMPTS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(prompts))


def prepared(config: Path, *stages: Stage) -> Prepared:
    return prepare(config, Overrides(), thorough=False, stages=stages or BOTH_STAGES)


def problems(config: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as raised:
        prepared(config)
    return [(problem.path, problem.message) for problem in raised.value.problems]


def test_without_the_official_files_the_problem_says_what_to_clone(config: Path) -> None:
    ((path, message),) = problems(config)
    assert path == "benchmark.official"
    assert "git clone https://github.com/PKU-YuanGroup/ImgEdit && git -C ImgEdit checkout 547185d" in message


@pytest.mark.parametrize(
    ("prompts", "found"),
    [({"add": "Rate it."}, "a prompt lacks <edit_prompt>"), (["Rate it."], f"{PROMPTS} is not a JSON object of texts")],
)
def test_a_file_of_another_version_whose_prompts_cannot_be_used_is_a_problem(
    config: Path, prompts: object, found: str
) -> None:
    write_prompts(config, prompts)
    ((path, message),) = problems(config)
    assert path == "benchmark.official"
    assert found in message
    assert "another version" in message


@pytest.mark.parametrize("language", [None, "en"])
def test_data_of_a_format_that_the_protocol_does_not_judge_is_named_and_not_its_language(
    config: Path, language: str | None
) -> None:
    write_prompts(config, {"add": "Rate <edit_prompt>."})
    settings = yaml.safe_load(config.read_text())
    settings["benchmark"] |= {"language": language, "protocol": "unicbench", "official": str(config.parent)}
    config.write_text(yaml.safe_dump(settings))
    found = problems(config)
    assert [path for path, _ in found] == ["benchmark.protocol", "benchmark.official"]
    assert (
        f"unicbench judges data of the format unicbench; {config.parent}/data is of the format imgedit" in found[0][1]
    )


def test_an_item_that_the_protocol_cannot_judge_is_a_bad_pair(config: Path) -> None:
    write_prompts(config, {"add": "Rate <edit_prompt>."})
    benchmark = prepared(config).benchmark
    assert [pair.key for pair in benchmark.pairs] == ["add/0"]
    assert [(bad.key, bad.kind) for bad in benchmark.bad] == [("paint/1", "bad_field")]
    assert (
        "imgedit cannot judge it: there is no official prompt for edits of the type 'paint'" in benchmark.bad[0].message
    )


@pytest.mark.parametrize(
    ("server", "key", "expected"),
    [
        ({}, None, [("reward_model", "the variable MY_KEY, which openai needs, is not set (line 9)")]),
        ({}, "a-key", []),
        ({"base_url": "http://127.0.0.1:8000/v1"}, None, []),
        ({"server": {"command": [sys.executable, "-m", "any_server", "--port", "{port}"]}}, None, []),
    ],
)
def test_a_key_that_the_workers_would_lack_is_a_problem_before_the_run(
    config: Path, monkeypatch: pytest.MonkeyPatch, server: dict[str, Any], key: str | None, expected: list[Any]
) -> None:
    # The path of a socket may have 107 bytes, and pytest's folders are longer.
    monkeypatch.setenv("WARMBENCH_HOME", f"/tmp/wb-{uuid.uuid4().hex[:8]}")  # noqa: S108 - nothing is made there
    if key is None:
        monkeypatch.delenv("MY_KEY", raising=False)
    else:
        monkeypatch.setenv("MY_KEY", key)
    write_prompts(config, {"add": "Rate <edit_prompt>."})
    content = yaml.safe_load(config.read_text())
    content["reward_model"]["params"] = {"model_name": "gpt-4o", "api_key_env": "MY_KEY", **server}
    config.write_text(yaml.safe_dump(content))
    found = problems(config) if expected else [] if prepared(config) else None
    assert found == expected


def recorded(config: Path, *stages: Stage, resumed: bool = True) -> dict[str, Any]:
    """The manifest of the next part of a run, which is written."""
    (config.parent / "run").mkdir(exist_ok=True)
    directory = RunDirectory(config.parent / "run")
    record = Record(prepared(config, *stages), directory, resumed=resumed, name=None)
    record.write()
    directory.close()
    manifest: dict[str, Any] = json.loads((directory.path / "manifest.json").read_text())
    return manifest


def test_a_part_that_only_edits_keeps_how_the_edits_were_judged(config: Path) -> None:
    write_prompts(config, {"add": "Rate <edit_prompt>."})
    first = recorded(config, resumed=False)
    again = recorded(config, "edit")
    assert first["official"]["protocol"] == "imgedit"
    for name in ("official", "reward", "prompts_sha256", "combine"):
        assert again[name] == first[name]


def test_a_part_that_only_scores_knows_which_sources_the_editor_got(config: Path) -> None:
    write_prompts(config, {"add": "Rate <edit_prompt>."})
    content = yaml.safe_load(config.read_text())
    parts: list[tuple[str, Stage]] = [("first", "edit"), ("all", "score")]
    for images, part in parts:
        content["diffusion_model"] = {
            "class_path": "workers.models.editors.identity_editor.IdentityEditor",
            "params": {"device": "cpu", "images": images},
        }
        config.write_text(yaml.safe_dump(content))
        manifest = recorded(config, part, resumed=part == "score")
    assert manifest["official"]["all_sources"] is False
