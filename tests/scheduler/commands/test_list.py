"""``warmbench list``: what is built in, and what packages bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.commands.list import KINDS
from scheduler.commands.main import main
from tests.csv_format import install_csv_format
from tests.plugin_packages import install
from tests.scheduler.trackers.plug_in import install_lines_tracker


def listed(site: Path, *arguments: str) -> list[str]:
    """The lines of the command, in a process that has the packages of this folder; its exit code is 0."""
    command = [sys.executable, "-m", "scheduler", "list", *arguments]
    result = subprocess.run(command, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return result.stdout.splitlines()


def listed_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The same in this process, which has no plug-ins."""
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_what_is_built_in_has_a_line_each_below_its_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(tmp_path)
    assert [line.removesuffix(":") for line in lines if not line.startswith(" ")] == list(KINDS)
    for kind, registry in KINDS.items():
        of_kind = listed_here(capsys, kind)
        assert [line.split(":")[0].split(" (")[0] for line in of_kind] == list(registry.names())
        assert all(f"  {line}" in lines for line in of_kind)


def test_a_line_says_what_a_model_is_its_other_names_and_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    editors = listed_here(capsys, "editors")
    assert editors[0].startswith("qwen_image_edit (multi_gpu_qwen_image_edit, multi_gpu_qwen_edit): Qwen-Image-Edit")
    assert "; needs a GPU, torch 2.6, diffusers 0.42" in editors[0]
    assert editors[1].startswith(
        "diffusers: Any editing pipeline of diffusers, with the arguments of its class; needs a GPU"
    )
    assert editors[2].endswith("SGLang, vLLM-Omni, OpenAI; needs openai 2, PIL 11, numpy")
    assert editors[3] == "identity: Gives back the source image"


def test_a_plug_in_is_listed_with_its_package_and_a_broken_one_with_its_error(tmp_path: Path) -> None:
    install_csv_format(tmp_path)
    install(tmp_path, "bad_package", "warmbench.formats", {"bad": "bad_package:FORMAT"}, "import no_such\nx = '\\n'")
    install(tmp_path, "other_json", "warmbench.formats", {"json": "other_json:FORMAT"}, "")
    json, risebench, *_, bad, csv = listed(tmp_path, "formats")
    assert csv == "csv: a CSV file beside its images; from the package warmbench_csv 1.2"
    assert risebench.startswith("risebench: A RISEBench folder")
    assert bad == (
        "bad: broken: warmbench.formats: 'bad' of the package bad_package 1.2 (bad_package:FORMAT) cannot be used: "
        "ModuleNotFoundError: No module named 'no_such'"
    )
    assert "the package other_json 1.2" in json
    assert "warmbench itself" in json


def test_a_tracker_of_a_plug_in_is_listed_and_a_broken_one_is_an_error_of_its_own_key(tmp_path: Path) -> None:
    install_lines_tracker(tmp_path)
    install(tmp_path, "bad_tracker", "warmbench.trackers", {"bad": "bad_tracker:TRACKER"}, "import no_such")
    bad, lines = listed(tmp_path, "trackers")[-2:]
    assert lines == "lines: A line in a file for each run; from the package warmbench_lines 1.2"
    assert bad.startswith("bad: broken: warmbench.trackers: 'bad' of the package bad_tracker 1.2")
    config = tmp_path / "config.yaml"
    config.write_text("trackers: {bad: {}, lines: {dose: raise}}\n", encoding="utf-8")
    run = [sys.executable, "-m", "scheduler", "run", "--config", str(config), "--dry-run"]
    result = subprocess.run(run, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "trackers.bad: warmbench.trackers: 'bad' of the package bad_tracker 1.2" in result.stderr
    assert "No module named 'no_such' (line 1)" in result.stderr
    assert "trackers.lines.dose: unknown key (line 1); known here: file, does, name, " in result.stderr
    assert "did you mean `does`?" in result.stderr


def test_a_reward_that_is_registered_as_an_editor_is_listed_as_broken(tmp_path: Path) -> None:
    install(tmp_path, "mixed_up", "warmbench.editors", {"qwen3_vl": "workers.models.rewards.qwen3_vl:DECLARATION"})
    reason = "ValueError: it is declared as reward"
    assert (
        listed(tmp_path, "editors")[-1] == f"qwen3_vl: broken: warmbench.editors: 'qwen3_vl' cannot be used: {reason}"
    )


def test_an_unknown_kind_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["list", "formts"])
    assert "invalid choice: 'formts'" in capsys.readouterr().err
