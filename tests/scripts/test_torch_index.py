"""Torch from another index. A program that writes down its arguments stands in for the environment's Python and pip."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

OPTIONS = "-s -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps -c constraints.txt"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    path.chmod(0o755)
    return path


def install(python: Path, index: str) -> list[str]:
    """The calls of pip so far, after one more installation."""
    command = f". scripts/torch_index.sh; install_torch {python} constraints.txt {python.parent}/torch-index"
    environment = {"TORCH_INDEX": index, "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-euc", command], cwd=ROOT, env=environment, check=True, capture_output=True)
    calls = python.parent / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_torch_comes_from_the_index_that_is_named_and_an_environment_keeps_it(python: Path) -> None:
    expected = [f"{OPTIONS} --index-url https://example.org/cu126 torch"]
    assert install(python, "") == []
    assert install(python, "https://example.org/cu126") == expected
    assert install(python, "https://example.org/cu126") == expected, "it is there"
    assert install(python, "") == expected
    assert len(install(python, "https://example.org/cpu")) == 2


def test_a_folder_of_wheels_is_an_index_too(python: Path, tmp_path: Path) -> None:
    assert install(python, str(tmp_path)) == [f"{OPTIONS} --no-index --find-links {tmp_path} torch"]
