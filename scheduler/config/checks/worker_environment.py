"""Checks that an environment that a config names has what a worker needs, by running its Python.

Without this check, a worker that can't start there is only noticed after the other models have loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from protocol import PROTOCOL_VERSION
from scheduler.config.checks.driver import driver_problem, read_build
from scheduler.config.checks.packages import CHECKOUT, DISTRIBUTIONS, extra_of, version_numbers
from scheduler.config.checks.worker_environment_probe import MARK
from scheduler.config.interpreters import conda_environments, worker_command
from scheduler.config.models import FAMILIES, ModelSection
from scheduler.config.problems import Problem, dotted, listing, nearest, printable

_PROBE = Path(__file__).with_name("worker_environment_probe.py")
_SETUP = "scripts/setup_reward_env.sh"

_SECONDS = 60.0
_OLDEST_PYTHON = (3, 11)

_OURS = ("protocol", "workers.__main__", "workers.worker")

Fault = tuple[str, str]
"""What is wrong, and what to do about it."""


class Needs(Struct, frozen=True):
    """What a worker must have in its environment beside warmbench.

    ``packages`` maps each to the oldest version that works, or ``""``. ``plugin`` is an entry point (``GROUP:NAME``),
    and ``brought_by`` the package that has it.
    """

    role: str
    packages: Mapping[str, str]
    plugin: str = ""
    brought_by: str = ""


def needs_of(section: ModelSection) -> Needs:
    """What a worker of this section must have: what its type declares, or the package of the user's own class."""
    model = section.declaration
    if section.class_path is not None:
        return Needs(model.role, {section.class_path.partition(".")[0]: ""})
    registry = FAMILIES[model.role].registry
    package = registry.package(model.name)
    plugin = f"{registry.group}:{model.name}" if package is not None else ""
    return Needs(model.role, model.packages, plugin, (package or "").partition(" ")[0])


def worker_environment_problems(name: str, section: ModelSection) -> list[Problem]:
    """Return what the workers of the section ``name`` lack in the environment that it names.

    Runs that environment's Python once: 0.2 to 0.3 s, a second more through ``conda run``, never more than a minute.
    """
    if not section.has_environment:
        return []
    key = dotted((name, "params", "python" if section.params.python is not None else "conda_env"))
    try:
        command = worker_command(section)
    except FileNotFoundError as error:
        return [Problem(key, str(error), _other_environment(section))]
    return [Problem(key, message, hint) for message, hint in _examine(section, command)]


def _examine(section: ModelSection, command: Sequence[str]) -> Iterator[Fault]:
    environment, needs = _name(section), needs_of(section)
    asked = [*needs.packages, *([needs.plugin] if needs.plugin else [])]
    try:
        code, output, errors = _run([*command, str(_PROBE), *asked], _SECONDS)
    except OSError as error:
        yield f"{environment} can't be used: {command[0]} does not start: {error.strerror}", "name a Python"
        return
    except subprocess.TimeoutExpired:
        yield f"{environment} can't be used: its Python did not answer in {_SECONDS:g} s", f"try {_shown(command)}"
        return
    lines = [line.partition(MARK)[2] for line in output.splitlines() if line.startswith(MARK)]
    if lines:
        report = json.loads(lines[-1])
        yield from faults(report, environment, _fix(section), needs)
        if (build := report.get("torch_build")) and (fault := driver_problem(section, read_build(build))):
            yield f"{environment}: {fault[0]}", fault[1]
        if not report["plugins"].get(needs.plugin, True):
            message = f"{environment} lacks the plug-in {needs.plugin} of the package {needs.brought_by}"
            yield message, f"run {_shown([*_start(section), '-m', 'pip', 'install', needs.brought_by])}"
    elif "EnvironmentLocationNotFound" in errors:
        yield f"there is no conda environment {section.params.conda_env}", _other_environment(section)
    else:
        last_line = (errors.strip() or output.strip() or "it said nothing").splitlines()[-1]
        message = f"{environment} can't be used: its Python ended with exit code {code}: {printable(last_line, 300)}"
        yield message, f"try {_shown(command)}"


def faults(report: Mapping[str, Any], name: str, fix: str, needs: Needs) -> Iterator[Fault]:
    """What is wrong with the environment ``name`` by what ``worker_environment_probe`` reported of it."""
    if tuple(map(int, report["python"].split("."))) < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        message = f"{name} has Python {report['python']}; warmbench needs {oldest} or newer"
        yield message, f"make a new one under another name, with `{_SETUP} --python {oldest}`"
        return
    if (stranger := _stranger(report, name, fix)) is not None:
        yield stranger
        return
    yield from _package_faults(report["imports"], report["packages"], name, fix)
    for module, oldest_version in needs.packages.items():
        version = report["packages"][module].get("version")
        if version is not None and oldest_version and version_numbers(version) < version_numbers(oldest_version):
            yield f"{name} has {module} {version}; the {needs.role} needs {oldest_version} or newer", fix


def _stranger(report: Mapping[str, Any], name: str, fix: str) -> Fault | None:
    """Return the fault of another ``protocol`` package, or of another version of it."""
    version, file = report["protocol_version"], report["protocol_file"]
    if version is None and file is not None:
        message = f"in {name}, `protocol` is another package than warmbench's: {file}"
        return message, "remove that one, or run from another folder"
    if version not in {None, PROTOCOL_VERSION}:
        message = f"the warmbench of {name} speaks protocol {version}, this one {PROTOCOL_VERSION}"
        return f"{message} (it was found in {Path(file).parent})", fix
    return None


def _package_faults(
    imports: Mapping[str, Mapping[str, str]], packages: Mapping[str, Mapping[str, str | None]], name: str, fix: str
) -> Iterator[Fault]:
    lacking = [module for module, result in {**imports, **packages}.items() if result["state"] == "missing"]
    if any(module in _OURS for module in lacking):
        yield f"warmbench is not installed in {name}", fix
    if foreign_lacking := [_package(module) for module in lacking if module not in _OURS]:
        yield f"{name} lacks {listing(foreign_lacking)}", fix
    broken = {module: result["error"] for module, result in imports.items() if result["state"] == "broken"}
    foreign = {_package(module): error for module, error in broken.items() if module not in _OURS}
    # Ours can only be imported if all that it needs can be.
    ours = {} if foreign or lacking else {_package(module): error for module, error in broken.items()}
    for package, error in {**foreign, **ours}.items():
        yield f"{package} can't be imported in {name}: {printable(error, 300)}", fix


def _run(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Return exit code, output and errors. All processes are ended in any case; ``conda run`` has several."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output, errors


def _name(section: ModelSection) -> str:
    params = section.params
    return f"the environment of {params.python}" if params.python else f"the conda environment {params.conda_env}"


def _other_environment(section: ModelSection) -> str:
    """What to do if the environment does not exist."""
    near = nearest(section.params.conda_env, conda_environments()) if section.params.conda_env else None
    return (f"did you mean `{near}`? Else " if near else "") + _fix(section)


def _fix(section: ModelSection) -> str:
    """The command that completes the environment, or creates it."""
    role, python = section.declaration.role, section.params.python
    arguments: list[str] = []
    if python is None:
        arguments = ["--conda", str(section.params.conda_env)]
    elif python.absolute().parent.name == "bin":
        folder = python.absolute().parent.parent
        if (folder / "pyvenv.cfg").is_file() or not folder.exists():
            arguments = ["--venv", str(folder)]
    if role == "reward" and arguments and (CHECKOUT / _SETUP).is_file():
        return f"run {_shown([_SETUP, *arguments])}"
    extra = extra_of(section.declaration.packages, role) or role
    source = f"{CHECKOUT}[{extra}]" if (CHECKOUT / "pyproject.toml").is_file() else f"warmbench[{extra}]"
    return f"run {_shown([*_start(section), '-m', 'pip', 'install', source])}"


def _start(section: ModelSection) -> list[str]:
    """How a user starts the Python of the environment."""
    python = section.params.python
    return [str(python)] if python is not None else ["conda", "run", "-n", str(section.params.conda_env), "python"]


def _shown(command: Sequence[str]) -> str:
    return f"`{printable(shlex.join(command), 1000)}`"


def _package(module: str) -> str:
    """The name that pip knows: ``pyzmq (imported as zmq)``."""
    if module in _OURS:
        return "warmbench"
    distribution = DISTRIBUTIONS.get(module)
    return f"{distribution} (imported as {module})" if distribution else module
