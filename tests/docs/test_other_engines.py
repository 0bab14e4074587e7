"""The files for Kubernetes and SkyPilot: valid YAML, whose configs and commands warmbench takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.commands.main import main
from scheduler.config.loading import load_config
from tests.docs.markdown import ROOT, fences, read

FILES = sorted((ROOT / "docs").glob("*/*.yaml"))
_OPTION = re.compile(r"--[a-z][a-z-]+")
_COMMAND = re.compile(r"warmbench (?:run|workers \w+)\b[^\n&|;]*")


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(part)


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for document in yaml.safe_load_all(read(path)) for found in mappings(document)]


def commands(path: Path) -> list[list[str]]:
    found = [[*part["command"], *part.get("args", [])] for part in documents(path) if "command" in part]
    return found + [
        shlex.split(line) for part in documents(path) if "run" in part for line in _COMMAND.findall(part["run"])
    ]


def assert_known(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    at = words.index("warmbench") + 1
    name = words[at : at + (2 if words[at] == "workers" else 1)]
    with pytest.raises(SystemExit):
        main([*name, "--help"])
    known = set(_OPTION.findall(capsys.readouterr().out))
    assert {word for word in words[at:] if word.startswith("--")} <= known, words


def test_there_are_files_for_each_engine() -> None:
    assert [path.relative_to(ROOT / "docs").as_posix() for path in FILES] == [
        "kubernetes/pool.yaml",
        "kubernetes/raycluster.yaml",
        "kubernetes/workers.yaml",
        "skypilot/pool.yaml",
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_commands_in_the_files_are_those_of_the_command_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands(path) or "RayCluster" in read(path)
    for words in commands(path):
        assert_known(words, capsys)


@pytest.mark.parametrize("name", ["kubernetes.md", "skypilot.md", "slurm.md"])
def test_commands_in_the_documents_are_those_of_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in fences(read(ROOT / "docs" / name), "bash") for line in block.splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if "warmbench " in line.partition("#")[0]]
    typed = [words for words in found if "warmbench" in words]
    assert len(typed) >= 3
    for words in typed:
        assert_known(words, capsys)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_configs_in_the_files_are_configs(path: Path, tmp_path: Path) -> None:
    for part in documents(path):
        for name, text in part.get("data", {}).items() if part.get("kind") == "ConfigMap" else ():
            (tmp_path / name).write_text(text)
            assert load_config(tmp_path / name).pool.elsewhere


def test_volumes_secrets_and_services_that_are_used_are_named_alike() -> None:
    """A worker's address is the head's Service, its port the one that the pool listens on."""
    pool, workers = (documents(ROOT / "docs" / "kubernetes" / f"{name}.yaml") for name in ("pool", "workers"))
    service = next(part for part in pool if part.get("kind") == "Service")
    config = next(part for part in pool if part.get("kind") == "ConfigMap")
    listen = yaml.safe_load(config["data"]["bench.yaml"])["pool"]["listen"]
    addresses = {word for part in workers for word in part.get("command", []) if word.startswith("tcp://")}
    assert addresses == {f"tcp://{service['metadata']['name']}:{listen.partition(':')[2]}"}
    for file in (pool, workers):
        for pod in (part for part in file if "containers" in part):
            mounted = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
