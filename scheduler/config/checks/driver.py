"""Checks that the NVIDIA driver can run the installed builds of torch, which are not imported."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

from msgspec import Struct

from scheduler.base.nvml import Driver, driver
from scheduler.config.models import ModelSection

OLDEST_DRIVERS = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""The oldest Linux driver for each CUDA version (CUDA's release notes, table "minor version compatibility")."""


class TorchBuild(Struct, frozen=True):
    """An installed torch. ``cuda`` is the version that it was built for, such as ``13.0``; None for a CPU build."""

    version: str
    cuda: str | None


def driver_problem(section: ModelSection, build: TorchBuild | None) -> tuple[str, str] | None:
    """Return why the workers of a section can't use their GPUs with this build of torch; None if they can, or use
    none, or if that is not known."""
    params = section.params
    devices = params.device_ids if params.device_ids is not None else (params.device,)
    if build is None or not section.holds_gpu or all(device == "cpu" for device in devices):
        return None
    present = driver()
    return None if present is None else outdated_driver(build, present)


def installed_torch() -> TorchBuild | None:
    """The torch of this environment, by the file that its build writes; None if there is none, or no such file."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        return read_build(Path(spec.origin).with_name("version.py").read_text(encoding="utf-8"))
    except OSError:
        return None


def read_build(text: str) -> TorchBuild | None:
    """The build that torch's ``version.py`` describes, in any of the forms that it has had."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    values: dict[str, object] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            values[target.id] = value.value
    version, cuda = values.get("__version__"), values.get("cuda")
    return TorchBuild(str(version), str(cuda) if cuda else None) if version else None


def outdated_driver(build: TorchBuild, present: Driver) -> tuple[str, str] | None:
    """Return why this driver can't run this build, and what to do; None if it can.

    A driver runs all builds for its own CUDA's major version and for older ones.
    """
    if build.cuda is None:
        return None
    major = int(build.cuda.partition(".")[0])
    oldest = OLDEST_DRIVERS.get(major)
    if present.cuda is not None:  # of libcuda itself, which CUDA's compatibility package replaces
        runs = present.cuda[0] >= major
    else:
        runs = oldest is None or _numbers(present.version) >= _numbers(oldest)
    if runs:
        return None
    needs = f", which needs NVIDIA driver {oldest} or newer" if oldest else ""
    known = f" (CUDA {present.cuda[0]}.{present.cuda[1]})" if present.cuda else ""
    message = f"torch {build.version} is built for CUDA {build.cuda}{needs}; this machine has driver {present.version}"
    older = f"CUDA {present.cuda[0]}" if present.cuda else "an older CUDA"
    hint = f"update the driver, or install torch for {older}: `make setup TORCH_INDEX=URL` (docs/troubleshooting.md)"
    return message + known, hint


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
