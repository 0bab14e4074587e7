"""``make run`` installs what its config needs, and no more. A program that records its arguments stands in for pip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.config.loading import load_config
from scripts.needed_extras import main, needed_extras
from tests.docs.markdown import ROOT

SIMULATED = "diffusion_model: {type: simulated}\nreward_model: {type: simulated}\n"
REAL = "diffusion_model: {type: qwen_image_edit}\nreward_model: {type: qwen3_vl}\n"


def config_of(folder: Path, text: str, data: str = "data.json", more: str = "") -> Path:
    path = folder / f"{data}.yaml"
    path.write_text(f"benchmark: {{data_path: {folder / data}{more}}}\n{text}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "extras"),
    [
        (SIMULATED, []),
        (REAL, ["editor", "reward"]),
        ("diffusion_model: {type: identity}\nreward_model: {type: qwen3_vl}\n", ["reward"]),
        ("reward_model: {type: qwen3_vl, params: {python: /elsewhere/python}}\n", ["editor"]),
        ("diffusion_model: {class_path: my.Editor}\nreward_model: {type: simulated}\n", ["editor"]),
        (f"{SIMULATED}pool: {{placer: ray}}\n", ["ray"]),
    ],
)
def test_the_extras_are_those_of_the_models_that_run_in_this_environment(
    tmp_path: Path, text: str, extras: list[str]
) -> None:
    assert needed_extras(load_config(config_of(tmp_path, text))) == extras


@pytest.mark.parametrize(
    ("data", "more", "extras"),
    [
        ("data.json", "", []),
        ("table.parquet", "", ["parquet"]),
        ("shards", "", ["parquet"]),
        ("elsewhere", ", format: gedit", ["parquet"]),
        ("data.json", ", format: no_such", []),
    ],
)
def test_tables_and_formats_that_are_tables_need_the_extra_that_reads_them(
    tmp_path: Path, data: str, more: str, extras: list[str]
) -> None:
    (tmp_path / "table.parquet").write_bytes(b"")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "data-00000-of-00001.arrow").write_bytes(b"")
    assert needed_extras(load_config(config_of(tmp_path, SIMULATED, data, more))) == extras


def test_data_of_the_command_line_counts_and_a_config_with_mistakes_needs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.parquet").write_bytes(b"")
    config = str(config_of(tmp_path, SIMULATED))
    main(["--config", config, "--limit", "2", "--data", str(tmp_path / "table.parquet")])
    main(["--config", str(config_of(tmp_path, "no_such_section: 1")), "--dry-run"])
    main(["--config", str(tmp_path / "none.yaml")])
    assert capsys.readouterr().out == "parquet\n"


class Checkout:
    """A copy of the scripts, with an environment whose Python installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts/setup.sh", "scripts/torch_index.sh", "pyproject.toml", "constraints.txt"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(
            f'#!/bin/sh\ncase "$*" in\n'
            f'*pip*|*scripts.make_demo*|*scripts.tiny*) echo "$@" >>{folder}/calls ;;\n'
            f'*needed_extras*) cd {ROOT} && exec {sys.executable} "$@" ;;\n'
            f'*) exec {sys.executable} "$@" ;;\nesac\n'
        )
        python.chmod(0o755)

    def setup(self, *arguments: str | Path, torch_index: str = "") -> list[str]:
        """What this call has installed and made: the extras of each call of pip, or the module."""
        calls = self.folder / "calls"
        calls.write_text("")
        command = [self.folder / "scripts" / "setup.sh", *arguments]
        environment = {"PATH": "/usr/bin:/bin", "TORCH_INDEX": torch_index}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return [line.split()[-1 if "pip" in line else 1] for line in calls.read_text().splitlines()]


@pytest.mark.slow
def test_a_run_installs_each_extra_once_and_only_when_it_is_needed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    simulated, real = (config_of(tmp_path, text, name) for name, text in (("simulated", SIMULATED), ("real", REAL)))
    assert checkout.setup("run", "--config", simulated, "--limit", "2", torch_index="https://example.org") == [
        ".[scheduler]"
    ]
    assert checkout.setup("run", "--config", simulated) == []
    assert checkout.setup("run", "--config", real, torch_index="https://example.org") == ["torch", ".[editor,reward]"]
    assert checkout.setup("run", "--config", real) == []
    assert checkout.setup("run", "--config", simulated, "--editor-models", "a", "b") == [".[plots]"]
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("# another version\n")
    assert checkout.setup("run", "--config", simulated) == [".[scheduler]"]


@pytest.mark.slow
def test_the_demo_gets_its_data_and_models_and_so_does_any_config_that_names_them(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    made = ["scripts.make_demo_data", "scripts.tiny_models"]
    path = tmp_path / "configs" / "demo.yaml"
    assert checkout.setup("run", "--config", path) == [".[scheduler]", ".[editor,reward]", *made]
    assert checkout.setup("run", "--config", tmp_path / "configs" / "risebench.yaml") == made
    assert checkout.setup("run", "--config", tmp_path / "configs" / "single_gpu.yaml") == []


def test_the_development_environment_has_everything_and_a_run_in_it_installs_nothing(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    assert checkout.setup("dev") == [
        ".[scheduler,editor,reward,openai,parquet,plots,dev]",
        ".[ray]",
        ".[wandb,mlflow,tensorboard]",
    ]
    assert checkout.setup("dev") == []
    assert checkout.setup("run", "--config", config_of(tmp_path, REAL)) == []
    assert checkout.setup("bench") == [".[bench]"]
