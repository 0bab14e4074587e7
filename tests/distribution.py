"""Which tests run in one process, when several processes share them (``make test``), and in which order.

Tests that need the same expensive thing stay together: torch takes eight seconds to import, a browser two to start, the
warm pool three. Those that calculate are in two groups, of which neither should take half of the time. Whole runs with
pools of their own are spread one by one. What takes longest comes first, so that no process has a long test left at the
end.
"""

from __future__ import annotations

from typing import Any

import pytest

_TOGETHER = {
    "editors": ("tests/workers/models/editors/",),
    "torch": ("tests/workers/models/", "tests/scripts/test_tiny_", "tests/scripts/test_mover.py"),
    "warm": tuple(
        f"tests/end_to_end/test_{name}.py"
        for name in (
            "edits_elsewhere",
            "hostile_input",
            "impossible_rows",
            "judges",
            "reading_runs",
            "shards",
            "simulated_run",
            "thumbnails",
            "trust",
            "unwritten_reports",
        )
    ),
    "browser": ("tests/scheduler/report/",),
}
_FILES_WITH_A_POOL = tuple(
    f"tests/{name}.py"
    for name in (
        "end_to_end/test_slurm",
        "end_to_end/test_ray",
        "end_to_end/test_real_models",
        "end_to_end/test_far_pool",
        "end_to_end/test_hostile_pool",
        "end_to_end/test_benchmarks",
        "end_to_end/test_resume",
        "end_to_end/test_troubled_runs",
        "chaos/test_audit",
    )
)
"""What the tests of one of these files share takes seconds to start: a cluster, a network, a pool."""

_ONE_BY_ONE = ("tests/scripts/test_bench.py", "tests/scripts/test_full_size.py", "tests/chaos/", "tests/end_to_end/")
EXPENSIVE = (
    *_TOGETHER["editors"],
    *_TOGETHER["torch"],
    *_FILES_WITH_A_POOL,
    *_TOGETHER["warm"],
    *_ONE_BY_ONE,
    *_TOGETHER["browser"],
    "tests/docs/",
    "tests/scripts/",
    "tests/workers/",
    "tests/",
)


def scope(nodeid: str) -> str:
    """What the test belongs to: the tests of one scope run in one process."""
    file = nodeid.partition("::")[0]
    for name, prefixes in _TOGETHER.items():
        if file.startswith(prefixes):
            return name
    return nodeid if file.startswith(_ONE_BY_ONE) and file not in _FILES_WITH_A_POOL else file


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, put those first that take longest."""
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: next(place for place, start in enumerate(EXPENSIVE) if item.nodeid.startswith(start))
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler of ``--dist=loadscope``, with the scopes and the order of this file."""
    from xdist.scheduler import LoadScopeScheduling

    if config.getvalue("dist") != "loadscope":
        return None

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)
