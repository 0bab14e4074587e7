"""The order of the packages: imports run downwards only, and no two modules import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "commands",
    "run",
    "stages",
    "pool",
    "terminal",
    "report",
    "store",
    "protocols",
    "benchmark",
    "statistics",
    "config",
    "trackers",
    "base",
)
"""The packages of the scheduler, from the top down. Each may import itself and those below it."""
_DECLARATIONS = ("workers.models", "workers.placers.declaration", "workers.join_options")
"""Of the workers: what models and placers declare, and the options of the command that joins a pool."""


def _modules(package: str) -> dict[str, Path]:
    paths = sorted((ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = _modules("protocol") | _modules("workers") | _modules("scheduler")


@cache
def _imports(name: str) -> set[str]:
    """Return the modules of ours that a module imports, at its top or inside a function."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} has a relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= submodules & MODULES.keys() or {node.module}
    return imported & MODULES.keys() - {name}


def _package(name: str) -> str:
    """``scheduler.run.loop`` is in ``run``."""
    return name.split(".")[1] if name.count(".") else ""


def test_every_module_of_the_scheduler_is_in_one_of_the_packages() -> None:
    modules = {name for name in MODULES if name.startswith("scheduler.")} - {"scheduler.__main__"}
    assert {_package(name) for name in modules} == set(ORDER)
    assert not [path.name for path in (ROOT / "scheduler").glob("*.py") if not path.name.startswith("__")]


@pytest.mark.parametrize("package", ORDER)
def test_a_package_of_the_scheduler_imports_only_packages_below_it(package: str) -> None:
    below = ORDER[ORDER.index(package) :]
    upwards = [
        f"{name} imports {imported}"
        for name in _modules(f"scheduler/{package}")
        for imported in sorted(_imports(name))
        if imported.startswith("scheduler.") and _package(imported) not in below
    ]
    assert upwards == []


def test_the_scheduler_imports_nothing_of_the_workers_but_declarations() -> None:
    foreign = [
        f"{name} imports {imported}"
        for name in _modules("scheduler")
        for imported in sorted(_imports(name))
        if imported.startswith("workers") and not imported.startswith(_DECLARATIONS)
    ]
    assert foreign == []


def test_the_workers_import_nothing_of_the_scheduler_and_the_protocol_nothing_of_ours() -> None:
    workers = [name for name in _modules("workers") if any(i.startswith("scheduler") for i in _imports(name))]
    protocol = [name for name in _modules("protocol") if any(not i.startswith("protocol") for i in _imports(name))]
    assert (workers, protocol) == ([], [])


def test_the_models_import_nothing_of_the_worker_processes_but_their_interface_and_the_codecs() -> None:
    allowed = ("protocol", "workers.models", "workers.interface", "workers.codecs")
    upwards = [
        f"{name} imports {imported}"
        for name in _modules("workers/models")
        for imported in sorted(_imports(name))
        if not imported.startswith(allowed)
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({name: _imports(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_pair_waits_for_what_only_the_end_of_a_run_needs() -> None:
    late = {"scheduler.run.ending", "scheduler.report.build", "scheduler.report.writing", "scheduler.terminal.summary"}
    code = f"import sys, scheduler.commands.start_run; sys.exit(', '.join({late!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert late <= MODULES.keys()
