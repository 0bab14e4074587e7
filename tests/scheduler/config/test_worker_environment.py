"""What is said of a reward's environment: of what its Python reported, and of a Python that reports nothing."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from protocol import PROTOCOL_VERSION
from scheduler.config.checks.worker_environment import Needs, _run, faults, worker_environment_problems
from scheduler.config.checks.worker_environment_probe import IMPORTED
from scheduler.config.problems import Problem
from tests.processes import has_ended_by_id
from tests.scheduler.config.written import load
from tests.waiting import wait_until
from workers.models.registry import REWARDS

ROOT = Path(__file__).resolve().parents[3]
REWARD = REWARDS.get("qwen3_vl")

GOOD: dict[str, Any] = {
    "python": "3.11.7",
    "executable": "/e/bin/python",
    "imports": {name: {"state": "there"} for name in IMPORTED},
    "packages": {name: {"state": "there", "version": "99.0+cpu"} for name in REWARD.packages},
    "plugins": {},
    "protocol_version": PROTOCOL_VERSION,
    "protocol_file": "/e/protocol/__init__.py",
}


def found(**changes: Any) -> list[str]:
    """What is said of a good environment with changes: ``imports__zmq={...}`` is one of its imports."""
    report = copy.deepcopy(GOOD)
    for path, value in changes.items():
        group, _, name = path.partition("__")
        if name:
            report[group][name] = value
        else:
            report[group] = value
    return [message for message, _ in faults(report, "it", "fix it", Needs("reward", REWARD.packages))]


def problems(folder: Path, python: Path | str) -> list[Problem]:
    text = f"reward_model: {{type: qwen3_vl_subprocess, params: {{python: {python}}}}}\n"
    return worker_environment_problems("reward_model", load(folder, text).reward_model)


def program(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_nothing_is_said_of_an_environment_that_has_everything() -> None:
    assert found() == []


@pytest.mark.parametrize("version", ["3.10.13", "3.6.15"])
def test_a_python_that_is_too_old_is_the_only_thing_said(version: str) -> None:
    assert found(python=version, imports__zmq={"state": "missing"}) == [
        f"it has Python {version}; warmbench needs 3.11 or newer"
    ]
    assert found(python="3.13.0") == []


def test_all_that_is_missing_is_reported_at_once_by_the_names_of_pip() -> None:
    assert found(imports__zmq={"state": "missing"}, packages__torch={"state": "missing"}) == [
        "it lacks pyzmq (imported as zmq), torch"
    ]


def test_a_package_that_cannot_be_imported_is_reported_with_its_error_and_not_what_follows_from_it() -> None:
    broken = {"state": "broken", "error": "ImportError: libz.so"}
    follows = {"state": "broken", "error": "ImportError: no numpy"}
    assert found(imports__numpy=broken) == ["numpy can't be imported in it: ImportError: libz.so"]
    assert found(**{"imports__numpy": broken, "imports__workers.worker": follows}) == [
        "numpy can't be imported in it: ImportError: libz.so"
    ]
    assert found(**{"imports__workers.worker": follows}) == ["warmbench can't be imported in it: ImportError: no numpy"]


def test_every_package_that_a_reward_needs_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["reward"]]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in needed}
    imported = {"pyzmq": "zmq", "pillow": "PIL"}
    assert {imported.get(name, name) for name in names} <= {*IMPORTED, *REWARD.packages}


def test_a_warmbench_that_speaks_otherwise_is_reported_with_its_place() -> None:
    assert found(protocol_version=99) == [
        f"the warmbench of it speaks protocol 99, this one {PROTOCOL_VERSION} (it was found in /e/protocol)"
    ]


def test_another_package_of_our_name_is_not_taken_for_ours() -> None:
    assert found(protocol_version=None) == [
        "in it, `protocol` is another package than warmbench's: /e/protocol/__init__.py"
    ]


@pytest.mark.parametrize(("version", "said"), [("4.56.2", True), ("4.57.0.dev0", False), ("5.23.0", False)])
def test_a_transformers_from_before_qwen3_vl_is_too_old(version: str, said: bool) -> None:
    there = {"state": "there", "version": version}
    expected = [f"it has transformers {version}; the reward needs 4.57 or newer"] if said else []
    assert found(packages__transformers=there) == expected


def test_a_version_that_cannot_be_known_is_no_fault() -> None:
    assert found(packages__torch={"state": "there", "version": None}) == []


def test_our_own_environment_is_one_that_will_do(tmp_path: Path) -> None:
    assert problems(tmp_path, sys.executable) == []


def test_other_rewards_have_nothing_to_be_asked(tmp_path: Path) -> None:
    for text in ("{type: simulated}", "{type: simulated, params: {conda_env: none_such}}", "{type: qwen3_vl}"):
        section = load(tmp_path, f"reward_model: {text}\n").reward_model
        assert worker_environment_problems("reward_model", section) == []


def test_packages_are_really_imported_from_where_a_worker_would_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise OSError('half a file')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (problem,) = problems(tmp_path, sys.executable)
    assert problem.path == "reward_model.params.python"
    assert problem.message == f"msgspec can't be imported in the environment of {sys.executable}: OSError: half a file"


def test_what_else_is_printed_does_not_matter(tmp_path: Path) -> None:
    assert problems(tmp_path, program(tmp_path, f'echo hello\n"{sys.executable}" "$@"\necho bye')) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo first; echo 'no libc' >&2; exit 5", "its Python ended with exit code 5: no libc"),
        ("exit 0", "its Python ended with exit code 0: it said nothing"),
    ],
)
def test_a_python_that_reports_nothing_is_quoted(tmp_path: Path, text: str, said: str) -> None:
    python = program(tmp_path, text)
    (problem,) = problems(tmp_path, python)
    assert problem.message == f"the environment of {python} can't be used: {said}"
    assert problem.hint == f"try `{python} -s`"


def test_a_file_that_is_no_program_for_this_machine_is_reported(tmp_path: Path) -> None:
    python = program(tmp_path, "")
    python.write_bytes(b"\x7fELF, or so it says")
    (problem,) = problems(tmp_path, python)
    assert problem.message == (f"the environment of {python} can't be used: {python} does not start: Exec format error")


def test_the_fix_for_an_environment_that_is_not_there_is_to_make_it(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tmp_path / "new" / "bin" / "python")
    assert problem.hint == f"run `scripts/setup_reward_env.sh --venv {tmp_path}/new`"


def test_the_fix_never_makes_an_environment_of_a_folder_that_is_something_else(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tmp_path / "bin" / "python")
    assert "-m pip install" in str(problem.hint)


def test_a_python_that_does_not_answer_is_ended_with_all_that_it_started() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        _run(["sh", "-c", "sleep 300 & echo $!; wait"], 0.3)
    pid = int((raised.value.output or b"").split()[0])
    wait_until(lambda: has_ended_by_id(pid))
