"""What a manifest says of the process that wrote it: its version, its machine and its packages."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from protocol import PROTOCOL_VERSION, VERSION

_PACKAGES = ("warmbench", "pyzmq", "msgpack", "msgspec", "pillow", "pydantic", "numpy", "scipy")


def process_facts() -> dict[str, Any]:
    """Return what a manifest says of this process."""
    return {
        "version": VERSION,
        "protocol_version": PROTOCOL_VERSION,
        "git_commit": _git_commit(),
        "host": platform.node(),
        "environment": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _git_commit() -> str | None:
    """Return the commit of the checkout of warmbench, with ``+`` if files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 - whichever git the user has
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout.strip()
