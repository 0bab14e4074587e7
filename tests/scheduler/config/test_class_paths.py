"""Classes are found wherever Python finds them, without importing them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import pytest

from scheduler.config.checks.class_paths import missing_class


class Editable:
    """A finder as an editable installation brings it: the package lies in a folder that is not on the path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(self._folder)]) if name == "their_models" else None


def test_a_class_of_an_editable_installation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "their_models"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "editors.py").write_text("class Paint: pass")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable(tmp_path)])
    assert missing_class("their_models.editors.Paint") is None
    assert missing_class("their_models.editors.Point") == (
        "the module their_models.editors has no Point",
        "did you mean `Paint`?",
    )
    assert "no module their_models.rewards" in str(missing_class("their_models.rewards.Judge"))
    assert "their_models" not in sys.modules
