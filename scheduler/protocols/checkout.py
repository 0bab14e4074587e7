"""Reads the current commit of a Git checkout from its files: ``git`` may be missing, and a checkout may be hostile."""

from __future__ import annotations

import re
from pathlib import Path

from scheduler.protocols.limited import read_limited

_MAX_REF_BYTES = 4096
_MAX_PACKED_BYTES = 1 << 24
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[A-Za-z0-9._+@-]+(?:/[A-Za-z0-9._+@-]+)*")


def commit_of(folder: Path) -> str | None:
    """Return the commit that ``HEAD`` of this checkout points to; None if it is no checkout or cannot be read."""
    try:
        git = _git_folder(folder)
        head = _text(git / "HEAD")
        name = head.removeprefix("ref:").strip()
        return _resolve(git, name) if head.startswith("ref:") else _commit(head)
    except (OSError, ValueError):
        return None


def _git_folder(folder: Path) -> Path:
    """A worktree or submodule has a file that names the folder."""
    git = folder / ".git"
    return git if git.is_dir() else folder / _text(git).removeprefix("gitdir:").strip()


def _resolve(git: Path, ref: str) -> str | None:
    if not _REF.fullmatch(ref) or ".." in ref:
        return None
    common = git / _text(git / "commondir").strip() if (git / "commondir").exists() else git
    for base in (git, common):
        if (base / ref).exists():
            return _commit(_text(base / ref))
    packed = read_limited(common / "packed-refs", _MAX_PACKED_BYTES).decode("utf-8", "replace")
    return next((_commit(line.split()[0]) for line in packed.splitlines() if line.split()[1:] == [ref]), None)


def _text(path: Path) -> str:
    return read_limited(path, _MAX_REF_BYTES).decode("utf-8")


def _commit(text: str) -> str | None:
    return text.strip() if _COMMIT.fullmatch(text.strip()) else None
