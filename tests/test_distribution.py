"""Which tests run in one process, and what every process imports."""

from __future__ import annotations

import pytest

from tests.conftest import IMPORTED
from tests.distribution import EXPENSIVE, scope
from tests.set_up import ROOT


def test_every_file_and_folder_that_is_named_exists() -> None:
    assert [start for start in EXPENSIVE if not list(ROOT.glob(f"{start}*"))] == []


def test_collecting_the_tests_imports_nothing_heavy(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.stash[IMPORTED] == [], "import it inside tests and fixtures, not at the top of a module"


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/workers/models/rewards/test_logits.py::test_a", "torch"),
        ("tests/workers/models/editors/test_offload.py::test_a", "editors"),
        ("tests/scheduler/report/gallery/test_in_browser.py::test_a", "browser"),
        ("tests/end_to_end/test_resume.py::test_a", "tests/end_to_end/test_resume.py"),
        ("tests/end_to_end/test_endings.py::test_a[1]", "tests/end_to_end/test_endings.py::test_a[1]"),
        ("tests/protocol/test_plan.py::test_a", "tests/protocol/test_plan.py"),
    ],
)
def test_tests_that_share_an_expensive_thing_run_in_one_process_and_whole_runs_one_by_one(
    nodeid: str, expected: str
) -> None:
    assert scope(nodeid) == expected
