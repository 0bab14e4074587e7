"""``configs/benchmarks``: with the paths in their places, each passes a dry run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from scheduler.commands.main import main
from scheduler.config.loading import load_config
from scheduler.protocols.declaration import PROTOCOLS
from scripts.needed_extras import needed_extras
from tests.docs.markdown import ROOT
from tests.made_benchmarks import MADE

CONFIGS = ROOT / "configs" / "benchmarks"


@pytest.fixture(autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMBENCH_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")


def with_paths(tmp_path: Path, benchmark: str) -> Path:
    """The benchmark's config with the paths of its data and official files, which are made, and a folder for output."""
    MADE[benchmark](tmp_path / "data", tmp_path / "official")
    text = (CONFIGS / f"{benchmark.removesuffix('_v2')}.yaml").read_text(encoding="utf-8")
    for key in ("data_path", "official"):
        text, count = re.subn(rf"(?m)^( +{key}: )PATH/TO/\S+", rf"\g<1>{tmp_path / key.removesuffix('_path')}", text)
        assert count == 1, key
    config = tmp_path / f"{benchmark}.yaml"
    config.write_text(text.replace("output_dir: outputs", f"output_dir: {tmp_path / 'outputs'}"), encoding="utf-8")
    return config


def editor(tmp_path: Path, pipeline: str) -> str:
    """A folder that looks like a model."""
    (tmp_path / "editor").mkdir()
    (tmp_path / "editor" / "model_index.json").write_text(json.dumps({"_class_name": pipeline}), encoding="utf-8")
    return str(tmp_path / "editor")


@pytest.mark.parametrize("benchmark", MADE)
def test_a_config_passes_a_dry_run_once_the_paths_are_there(
    tmp_path: Path, benchmark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_paths(tmp_path, benchmark)
    pipeline = "QwenImageEditPlusPipeline" if benchmark == "kris" else "QwenImageEditPipeline"
    code = main(["run", "--config", str(config), "--dry-run", "--editor-model", editor(tmp_path, pipeline)])
    shown = capsys.readouterr()
    assert code == 0, shown
    assert "good. Nothing was run." in shown.out
    assert not (tmp_path / "outputs").exists()


def test_there_is_a_config_for_each_protocol_and_its_judge_is_the_prescribed_one() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(PROTOCOLS.names())
    for name in PROTOCOLS.names():
        config = load_config(CONFIGS / f"{name}.yaml")
        declared = PROTOCOLS.get(name)
        assert config.benchmark.protocol == name
        assert config.reward_model.type == "openai"
        assert config.reward_model.params.model_name == declared.judge.models[0]
        assert not config.reward_model.params.model_fields_set & {*declared.judge.parameters, "scoring", "reply_format"}
        assert "reward" not in needed_extras(config), "a judge behind a server needs no torch"
        assert "openai" in needed_extras(config)


def test_every_path_to_fill_in_is_named_before_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(CONFIGS / "risebench.yaml"), "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert "benchmark.data_path" in message
    assert "PATH/TO/RISEBench/data" in message
    assert "benchmark.official: PATH/TO/RISEBench is not a folder" in message


def test_a_dry_run_says_what_keeps_the_numbers_from_being_comparable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_paths(tmp_path, "risebench")
    text = config.read_text(encoding="utf-8").replace("    api_key_env:", "    temperature: 0.5\n    api_key_env:")
    config.write_text(text, encoding="utf-8")
    assert main(["run", "--config", str(config), "--dry-run", "--editor-model", editor(tmp_path, "Editor")]) == 0
    shown = capsys.readouterr().out
    assert "Comparable with published numbers: no" in shown
    assert "- The judge is gpt-4.1-2025-04-14; the authors prescribe gpt-4o-2024-11-20." in shown
    assert "- The judge's temperature is 0.5; the authors set it to 0." in shown
    assert "- The run has 4 items of 64." in shown


@pytest.mark.parametrize(("benchmark", "commit"), [("risebench", "3421af4"), ("risebench_v2", "5f22651")])
def test_without_official_files_the_version_that_belongs_to_the_data_is_the_one_to_clone(
    tmp_path: Path, benchmark: str, commit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_paths(tmp_path, benchmark)
    shutil.rmtree(tmp_path / "official")
    assert main(["run", "--config", str(config), "--dry-run"]) == 2
    expected = rf"{tmp_path}/official is not a folder; .*git clone https://github.com/PhoenixZ810/RISEBench .*{commit}"
    assert re.search(expected, capsys.readouterr().err)
