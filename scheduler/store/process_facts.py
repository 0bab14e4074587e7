"""What a manifest says of the process that wrote it: its version, its machine and its packages."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
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
        "git_commit": own_commit().result(),
        "host": platform.node(),
        "environment": {"python": platform.python_version(), **_versions()},
    }


@cache
def own_commit() -> Future[str | None]:
    """Return the commit of the checkout that this process is of, as it is at the first call. That asks git in a thread,
    and so takes no time.
    """
    thread = ThreadPoolExecutor(1)
    commit = thread.submit(checkout_commit, Path(__file__).resolve().parent)
    thread.shutdown(wait=False)
    return commit


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def checkout_commit(folder: Path) -> str | None:
    """Return the commit of the checkout that has this folder, with ``+`` if files differ from it; None if none has."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--abbrev=64", "--exclude=*", "--dirty=+"],  # noqa: S607 - the user's git
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
