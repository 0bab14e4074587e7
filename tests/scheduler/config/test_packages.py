"""What a config needs is installed here, or named with the command that installs it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from scheduler.config.checks import packages
from scheduler.config.checks.environment import Environment
from scheduler.config.checks.packages import (
    extra_of,
    install_hint,
    missing_for_placer,
    missing_for_tracker,
    missing_packages,
    version_numbers,
)
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from scheduler.trackers.declaration import TRACKERS, TrackerType
from tests.docs.markdown import ROOT
from tests.scheduler.config.written import load, write
from workers.placers.declaration import PlacerType


@pytest.mark.parametrize(
    ("needed", "preferred", "extra"),
    [
        ({"torch", "transformers", "accelerate"}, "reward", "reward"),
        ({"torch", "transformers", "accelerate"}, "editor", "editor"),
        ({"torch", "diffusers"}, "reward", "editor"),
        ({"openai", "PIL", "numpy"}, "reward", "openai"),
        ({"pyarrow"}, "", "parquet"),
        ({"pyarrow", "torch"}, "", None),
        ({"no-such-package"}, "", None),
        (set(), "reward", "reward"),
    ],
)
def test_packages_come_with_the_extra_of_their_role_or_the_smallest(
    needed: set[str], preferred: str, extra: str | None
) -> None:
    assert extra_of(needed, preferred) == extra


def test_the_command_installs_into_this_environment_with_the_versions_tested_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = shlex.split(install_hint(["openai"]).partition("`")[2].rstrip("`"))
    assert command == [sys.executable, *f"-m pip install -c {ROOT}/constraints.txt -e {ROOT}[openai]".split()]
    assert install_hint(["of-a-plug-in"]).endswith("-m pip install of-a-plug-in`")
    monkeypatch.setattr(packages, "CHECKOUT", tmp_path)
    assert install_hint(["openai"]).endswith("-m pip install 'warmbench[openai]'`")


def with_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, needed: dict[str, str]) -> Path:
    """A config, and an editor that needs these packages."""
    path = tmp_path / "config.yaml"
    path.write_text(f"benchmark: {{data_path: {tmp_path}}}\n{text}", encoding="utf-8")
    declaration = load_config(path).diffusion_model.declaration
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in needed else object())
    monkeypatch.setitem(declaration.__dict__, "packages", needed)
    return path


def test_a_package_that_is_missing_is_an_error_of_the_config_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = with_packages(monkeypatch, tmp_path, "diffusion_model: {type: identity}", {"torch": "2.6", "diffusers": ""})
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment=Environment(stages=("edit",), data=False))
    (problem,) = caught.value.problems
    assert problem.path == "diffusion_model.type"
    assert problem.message == "identity needs torch, diffusers, which are not installed (line 2)"
    assert f"{ROOT}[editor]" in str(problem.hint)


@pytest.mark.parametrize("python", ["", "python: /elsewhere/bin/python"])
def test_only_this_environment_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: str) -> None:
    text = f"diffusion_model: {{type: qwen_image_edit, params: {{{python}}}}}"
    path = with_packages(monkeypatch, tmp_path, text, {"torch": ""})
    assert (missing_packages(load_config(path).diffusion_model) is None) == bool(python)


def test_a_package_that_is_too_old_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    section = load(
        tmp_path, f"benchmark: {{data_path: {tmp_path}}}\ndiffusion_model: {{type: identity}}"
    ).diffusion_model
    monkeypatch.setitem(section.declaration.__dict__, "packages", {"msgspec": "999", "zmq": "1", "PIL": "1"})
    missing = missing_packages(section)
    assert missing is not None
    assert missing[0].startswith("identity needs msgspec 999 or newer (0.")
    assert missing[0].endswith("which is not installed")


def test_versions_are_compared_by_their_numbers() -> None:
    assert version_numbers("2.13.0+cpu") == (2, 13, 0)
    assert version_numbers("5.0.0rc1") == (5, 0)


def test_what_a_placer_lacks_is_named_with_its_command() -> None:
    lacking = missing_for_placer(PlacerType("far", "", "far:Placer", packages={"msgspec": "", "far_engine": ""}))
    assert lacking is not None
    assert lacking[0] == "the placer far needs far_engine, which is not installed"
    assert "pip install" in lacking[1]
    assert missing_for_placer(PlacerType("near", "", "near:Placer", packages={"msgspec": ""})) is None


def test_what_a_tracker_lacks_is_an_error_of_its_key_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    text = f"evaluation: {{output_dir: {tmp_path}}}\ntrackers:\n  tensorboard:\n"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), environment=Environment(stages=(), data=False))
    (problem,) = caught.value.problems
    assert problem.path == "trackers.tensorboard"
    assert problem.message == "the tracker tensorboard needs tensorboard, which is not installed (line 3)"
    assert f"{ROOT}[tensorboard]" in str(problem.hint)


def test_a_folder_of_the_name_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "far_tracker").mkdir()  # as W&B makes one where it is used
    monkeypatch.syspath_prepend(tmp_path)
    lacking = missing_for_tracker(TrackerType("far", "", lambda *_: None, packages={"far_tracker": ""}))
    assert lacking is not None
    assert lacking[0] == "the tracker far needs far_tracker, which is not installed"


def test_the_extras_of_trackers_have_what_they_declare() -> None:
    for tracker in TRACKERS.all().values():
        assert extra_of(tracker.packages, tracker.name) == tracker.name
