"""Finds the Python that workers run in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from scheduler.config.models import ModelSection

_USUAL_ROOTS = ("~/miniconda3", "~/anaconda3", "~/miniforge3", "~/mambaforge", "~/micromamba", "~/.conda")
_SYSTEM_ROOTS = ("/opt/conda", "/opt/miniconda3", "/opt/anaconda3", "/opt/miniforge3", "/usr/local/miniconda3")

_ALONE = "-s"
"""Python's option that leaves out ``~/.local``, which otherwise comes before the packages of the environment."""


def worker_command(section: ModelSection, *, elsewhere: bool = False) -> list[str]:
    """Return the command that starts Python for workers of this model; its arguments are added to it.

    It is the interpreter that ``python`` or ``conda_env`` names, ``conda run`` if the folder of the environment is not
    known, and the Python that runs now for a model without an environment of its own. For workers ``elsewhere``, it is
    not looked for on this machine.

    Raises:
        FileNotFoundError: the conda environment or the file is not there.
    """
    if not section.has_environment:
        return [sys.executable]
    python, name = section.params.python, section.params.conda_env or ""
    if python is not None:
        if not elsewhere and (not os.access(python, os.X_OK) or python.is_dir()):
            raise FileNotFoundError(f"{python} is no program")
        return [str(python.absolute()), _ALONE]
    environment = conda_environments().get(name)
    if environment is not None:
        return [str(environment), _ALONE]
    conda = shutil.which("conda") or os.environ.get("CONDA_EXE") or ("conda" if elsewhere else None)
    if conda:
        return [conda, "run", "--no-capture-output", "-n", name, "python", _ALONE]
    raise FileNotFoundError(f"there is no conda environment {name}")


def conda_environments() -> dict[str, Path]:
    """The Python of each conda environment whose folder is known without running conda, by name."""
    pythons: dict[str, Path] = {}
    for name, folder in _environment_folders():
        python = folder / "bin" / "python"
        if name not in pythons and os.access(python, os.X_OK):
            pythons[name] = python
    return pythons


def _environment_folders() -> Iterator[tuple[str, Path]]:
    for folder in _environment_collections():
        try:
            yield from ((entry.name, entry) for entry in sorted(folder.iterdir()) if entry.is_dir())
        except OSError:
            continue
    for root in _roots():
        yield "base", root
    listed = Path("~/.conda/environments.txt").expanduser()
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            yield Path(line.strip()).name, Path(line.strip())


def _environment_collections() -> Iterator[Path]:
    for variable in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        yield from (Path(part).expanduser() for part in os.environ.get(variable, "").split(os.pathsep) if part)
    yield from (root / "envs" for root in _roots())


def _roots() -> Iterator[Path]:
    if root := os.environ.get("MAMBA_ROOT_PREFIX"):
        yield Path(root)
    if active := os.environ.get("CONDA_PREFIX"):
        folder = Path(active)
        yield folder.parent.parent if folder.parent.name == "envs" else folder
    for program in (os.environ.get("CONDA_EXE"), shutil.which("conda"), shutil.which("mamba")):
        if program:
            yield Path(program).resolve().parent.parent
    yield from (Path(root).expanduser() for root in _USUAL_ROOTS)
    yield from (Path(root) for root in _SYSTEM_ROOTS)
