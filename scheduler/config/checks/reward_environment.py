"""Does the environment of an isolated reward hold what a reward needs? Asked of that environment's own Python.

A worker that can't start there would be found out only once the editors have loaded, and by its log alone.
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

from protocol import PROTOCOL_VERSION
from scheduler.config.checks.reward_environment_probe import MARK
from scheduler.config.document import Config
from scheduler.config.interpreters import isolated_reward, nearest_environment, reward_command
from scheduler.config.problems import Problem, dotted, listing, printable
from scheduler.config.reward_models import Qwen3VLSubprocessParams

_PROBE = Path(__file__).with_name("reward_environment_probe.py")
_CHECKOUT = Path(__file__).resolve().parents[3]
_SETUP = "scripts/setup_reward_env.sh"

_SECONDS = 60.0
_OLDEST_PYTHON = (3, 11)
_OLDEST = {"transformers": (4, 57), "torch": (2, 6)}
"""transformers 4.57 is the first one with Qwen3-VL."""

_DISTRIBUTIONS = {"zmq": "pyzmq", "PIL": "pillow"}
_OURS = ("protocol", "workers.__main__", "workers.worker")


def reward_environment_problems(config: Config) -> list[Problem]:
    """What a reward would lack in the environment of its own that the config names; nothing for other rewards.

    Runs that environment's Python once: 0.2 to 0.3 s, a second more through ``conda run``, never more than a minute.
    """
    params = isolated_reward(config)
    if params is None:
        return []
    key = dotted(("reward_model", "params", "python" if params.python is not None else "conda_env"))
    try:
        command = reward_command(config)
    except FileNotFoundError as error:
        return [Problem(key, str(error), _other_environment(params))]
    return [Problem(key, message, hint) for message, hint in _examine(params, command)]


Fault = tuple[str, str]
"""What is wrong, and what to do about it."""


def _examine(params: Qwen3VLSubprocessParams, command: Sequence[str]) -> Iterator[Fault]:
    try:
        code, output, errors = _run([*command, str(_PROBE)], _SECONDS)
    except OSError as error:
        yield f"{_name(params)} can't be used: {command[0]} does not start: {error.strerror}", "name a Python"
        return
    except subprocess.TimeoutExpired:
        yield f"{_name(params)} can't be used: its Python did not answer in {_SECONDS:g} s", f"try {_shown(command)}"
        return
    lines = [line.partition(MARK)[2] for line in output.splitlines() if line.startswith(MARK)]
    if lines:
        yield from faults(json.loads(lines[-1]), _name(params), _fix(params))
    elif "EnvironmentLocationNotFound" in errors:
        yield f"there is no conda environment {params.conda_env}", _other_environment(params)
    else:
        said = (errors.strip() or output.strip() or "it said nothing").splitlines()[-1]
        message = f"{_name(params)} can't be used: its Python ended with exit code {code}: {printable(said, 300)}"
        yield message, f"try {_shown(command)}"


def faults(report: Mapping[str, Any], name: str, fix: str) -> Iterator[Fault]:
    """What is wrong with the environment ``name`` by what ``reward_environment_probe`` reported of it."""
    if tuple(map(int, report["python"].split("."))) < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        message = f"{name} has Python {report['python']}; warmbench needs {oldest} or newer"
        yield message, f"make a new one under another name, with `{_SETUP} --python {oldest}`"
        return
    if (stranger := _stranger(report, name, fix)) is not None:
        yield stranger
        return
    yield from _package_faults(report["imports"], report["found"], name, fix)


def _stranger(report: Mapping[str, Any], name: str, fix: str) -> Fault | None:
    """That what is called ``protocol`` there is not the one that is spoken here."""
    version, file = report["protocol_version"], report["protocol_file"]
    if version is None and file is not None:
        message = f"in {name}, `protocol` is another package than warmbench's: {file}"
        return message, "remove that one, or run from another folder"
    if version not in {None, PROTOCOL_VERSION}:
        message = f"the warmbench of {name} speaks protocol {version}, this one {PROTOCOL_VERSION}"
        return f"{message} (it was found in {Path(file).parent})", fix
    return None


def _package_faults(
    imports: Mapping[str, Mapping[str, str]], found: Mapping[str, Mapping[str, str | None]], name: str, fix: str
) -> Iterator[Fault]:
    lacking = [module for module, result in {**imports, **found}.items() if result["state"] == "missing"]
    if any(module in _OURS for module in lacking):
        yield f"warmbench is not installed in {name}", fix
    if packages := [_package(module) for module in lacking if module not in _OURS]:
        yield f"{name} lacks {listing(packages)}", fix
    broken = {module: result["error"] for module, result in imports.items() if result["state"] == "broken"}
    foreign = {_package(module): error for module, error in broken.items() if module not in _OURS}
    # Ours can only be imported once all that it needs can be.
    ours = {} if foreign or lacking else {_package(module): error for module, error in broken.items()}
    for package, error in {**foreign, **ours}.items():
        yield f"{package} can't be imported in {name}: {printable(error, 300)}", fix
    for module, oldest in _OLDEST.items():
        version = found[module].get("version")
        if version is not None and _numbers(version) < oldest:
            least = ".".join(map(str, oldest))
            yield f"{name} has {module} {version}; the reward needs {least} or newer", fix


def _run(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Exit code, output and errors. Nothing of it is left, however it ends: ``conda run`` is several processes."""
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


def _name(params: Qwen3VLSubprocessParams) -> str:
    return f"the environment of {params.python}" if params.python else f"the conda environment {params.conda_env}"


def _other_environment(params: Qwen3VLSubprocessParams) -> str:
    """What to do where the environment is not there."""
    near = nearest_environment(params.conda_env) if params.conda_env else None
    return (f"did you mean `{near}`? Else " if near else "") + _fix(params)


def _fix(params: Qwen3VLSubprocessParams) -> str:
    """The command that makes the environment right, or makes one."""
    python = params.python
    arguments: list[str] = []
    if python is None:
        arguments = ["--conda", str(params.conda_env)]
    elif python.absolute().parent.name == "bin":
        folder = python.absolute().parent.parent
        if (folder / "pyvenv.cfg").is_file() or not folder.exists():
            arguments = ["--venv", str(folder)]
    if arguments and (_CHECKOUT / _SETUP).is_file():
        return f"run {_shown([_SETUP, *arguments])}"
    source = f"{_CHECKOUT}[reward]" if (_CHECKOUT / "pyproject.toml").is_file() else "warmbench[reward]"
    start = [str(python)] if python is not None else ["conda", "run", "-n", str(params.conda_env), "python"]
    return f"run {_shown([*start, '-m', 'pip', 'install', source])}"


def _shown(command: Sequence[str]) -> str:
    return f"`{printable(shlex.join(command), 1000)}`"


def _package(module: str) -> str:
    """``pyzmq (imported as zmq)``: what pip knows it by."""
    if module in _OURS:
        return "warmbench"
    distribution = _DISTRIBUTIONS.get(module)
    return f"{distribution} (imported as {module})" if distribution else module


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``4.57.6`` and ``2.13.0+cpu`` as they are, ``5.0.0rc1`` as 5.0."""
    numbers = []
    for part in version.split("+", maxsplit=1)[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
