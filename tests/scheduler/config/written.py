"""Configs as text, written to a file and loaded."""

from __future__ import annotations

from pathlib import Path

from scheduler.config.checks.environment import Environment
from scheduler.config.document import Config
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError, Problem


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, overrides: Overrides | None = None) -> Config:
    return load_config(write(folder, text), overrides)


def problems_of(
    folder: Path, text: str, overrides: Overrides | None = None, environment: Environment | None = None
) -> list[Problem]:
    try:
        load_config(write(folder, text), overrides, environment)
    except ConfigError as error:
        return list(error.problems)
    return []


def only_problem(folder: Path, text: str) -> Problem:
    found = problems_of(folder, text)
    assert len(found) == 1, found
    return found[0]
