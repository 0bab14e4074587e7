"""Official files with texts of our own under the names that a protocol looks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scheduler.protocols.official import OfficialTexts


def official_texts(files: Mapping[str, Mapping[str, str]]) -> OfficialTexts:
    """Return official files: by path the constants of a module."""
    contents = {
        path: "\n".join(f"{name} = {text!r}" for name, text in constants.items()) for path, constants in files.items()
    }
    return OfficialTexts(Path("clone"), contents, {}, None, None)
