"""The official files of a benchmark: read, hashed, never executed.

A text comes by ``ast`` from a module's constant or from a literal of a named function, from JSON, or from safe YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class OfficialError(Exception):
    """The official files cannot be used; the message names the file, what was found, and what to do."""


@dataclass(frozen=True)
class OfficialFiles:
    """Which files of which repository a protocol reads.

    ``repository`` is the address to clone. ``paths`` are relative to the checkout. ``tried`` has the commits that this
    protocol was tried with, the one to clone first: commit to path to SHA-256.
    """

    repository: str
    paths: tuple[str, ...]
    tried: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class OfficialTexts:
    """The official files as they were read.

    ``hashes`` has the SHA-256 of each path, ``commit`` is that of the checkout (None: it is no checkout, or the files
    have changed since), ``tried_commit`` the one of ``OfficialFiles.tried`` whose hashes these are, None if no one's.
    """

    folder: Path
    contents: Mapping[str, str]
    hashes: Mapping[str, str]
    commit: str | None
    tried_commit: str | None

    def constant(self, path: str, name: str) -> str:
        """Return the text that a module assigns to this name at its top level; raises ``OfficialError``."""
        raise NotImplementedError

    def json(self, path: str) -> Any:
        """Return the value of a JSON file; raises ``OfficialError``."""
        raise NotImplementedError


def read_official(folder: Path | None, files: OfficialFiles) -> OfficialTexts:
    """Read the official files; raises ``OfficialError`` that says what to clone if there is no folder, or lacks one."""
    raise NotImplementedError
