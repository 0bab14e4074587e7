"""Checks that the program of a server that the workers are to start exists on this machine."""

from __future__ import annotations

import shutil
from typing import Any

from scheduler.config.models import ModelSection
from scheduler.config.problems import shown


def missing_program(section: ModelSection) -> tuple[str, str] | None:
    """Return why the server of a model cannot be started, and what to do; None if its program can be run."""
    server: dict[str, Any] = section.params.model_dump().get("server") or {}
    command = server.get("command") or ()
    if not command or shutil.which(command[0], path=(server.get("env") or {}).get("PATH")):
        return None
    return f"there is no program {shown(command[0])} that can be run", "install it, or write its full path"
