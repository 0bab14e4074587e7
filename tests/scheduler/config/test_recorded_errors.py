"""Wrong configs of every kind give exactly the errors that were recorded.

``tests/data/wrong_configs.txt`` has the configs, each below a line ``=== name``. Those whose name begins with
``environment:`` are also checked against a machine without GPUs. ``wrong_configs_errors.txt`` has the errors, with
``FOLDER`` for the folder of the file. To add a config, add it to the first file; ``tests/recorded.py`` says how to
record the errors again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from tests.recorded import DATA, assert_as_recorded
from tests.scheduler.config.written import write

CONFIGS = DATA / "wrong_configs.txt"
ERRORS = DATA / "wrong_configs_errors.txt"
_ENTRY = re.compile(r"^=== (.+)\n((?:(?!=== ).*\n)*)", re.MULTILINE)


def wrong_configs() -> dict[str, str]:
    return dict(_ENTRY.findall(CONFIGS.read_text(encoding="utf-8")))


def error_of(folder: Path, name: str, text: str) -> str:
    environment = Environment() if name.startswith("environment:") else None
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), environment=environment)
    return str(caught.value).replace(str(folder), "FOLDER")


def test_there_are_a_hundred_wrong_configs_of_different_names() -> None:
    names = re.findall(r"^=== (.+)$", CONFIGS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) == len(set(names)) == len(wrong_configs()) >= 100


def test_wrong_configs_give_the_recorded_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    errors = [f"=== {name}\n{error_of(tmp_path, name, text)}\n" for name, text in wrong_configs().items()]
    assert_as_recorded(ERRORS, "".join(errors))
