"""The gate fails a run only where the whole interval of its paired difference lies below what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from scheduler.report.series.gate import GateRule, judge
from scheduler.report.series.model import Gate
from scheduler.report.series.writing import read_series
from tests.scheduler.report.series.runs import checkpoint

BASE = [5.0, 6.0, 7.0, 4.0, 8.0, 5.0, 6.0, 7.0, 3.0, 9.0]
WORSE = [4.0, 5.5, 5.5, 3.0, 7.5, 4.0, 4.5, 6.0, 2.5, 7.5]
NOISE = [2.0, 8.0, 3.0, 7.0, 6.0, 4.0, 8.0, 4.0, 1.0, 10.0]


def gate(folder: Path, runs: Sequence[Sequence[float | None]], rule: GateRule, **changed: object) -> Gate:
    """The gate over checkpoints 1, 2, ...; ``changed`` is what the last one's manifest has otherwise."""
    paths = []
    for number, of_run in enumerate(runs, start=1):
        otherwise = changed if number == len(runs) else {}
        paths.append(
            checkpoint(folder, f"/t/checkpoint-{number}", of_run, stamp=f"20260101_12000{number}", **otherwise)
        )
    return judge(read_series(paths, folder), rule)


@pytest.mark.parametrize(
    ("last", "by", "worse"),
    [(WORSE, 0.0, True), (WORSE, 0.6, True), (WORSE, 0.9, False), (NOISE, 0.0, False), (BASE, 0.0, False)],
)
def test_a_run_is_worse_if_the_whole_interval_is_below_the_limit(
    tmp_path: Path, last: list[float], by: float, worse: bool
) -> None:
    found = gate(tmp_path, [BASE, last], GateRule(by))
    assert (found.worse, found.run, found.other, found.reason) == (worse, 1, 0, None)
    assert found.ci95 is not None
    assert (found.ci95[1] < -by) is worse


def test_better_is_never_worse(tmp_path: Path) -> None:
    assert gate(tmp_path, [WORSE, BASE], GateRule(0.0)).worse is False


def test_beside_the_best_of_many_the_interval_is_wider_than_beside_the_previous_run(tmp_path: Path) -> None:
    found = [
        gate(tmp_path / str(number), [BASE, WORSE, NOISE, WORSE], rule)
        for number, rule in enumerate((GateRule(0.0, "best"), GateRule(0.0, "t/checkpoint-1"), GateRule(0.0)))
    ]
    assert [one.other for one in found] == [0, 0, 2]
    corrected, alone = found[0].ci95, found[1].ci95
    assert corrected is not None
    assert alone is not None
    assert corrected[0] < alone[0] < alone[1] < corrected[1]


def test_a_run_can_be_named_and_compared_with_one_that_came_later(tmp_path: Path) -> None:
    found = gate(tmp_path, [WORSE, BASE], GateRule(0.0, "20260101_120002", "20260101_120001"))
    assert (found.run, found.other, found.worse) == (0, 1, True)


def test_the_first_run_of_a_training_passes_and_the_best_is_beside_the_best_of_the_others(tmp_path: Path) -> None:
    first = gate(tmp_path / "1", [BASE], GateRule(0.0))
    assert (first.worse, first.other) == (False, None)
    best = gate(tmp_path / "2", [WORSE, BASE], GateRule(0.0, "best"))
    assert (best.worse, best.run, best.other) == (False, 1, 0)


def test_what_was_not_judged_alike_or_has_no_scores_is_unknown(tmp_path: Path) -> None:
    other = gate(tmp_path / "1", [BASE, BASE, WORSE], GateRule(0.0), prompts_sha256="0")
    assert (other.worse, other.reason) == (None, "they were not judged alike")
    nothing = gate(tmp_path / "2", [BASE, [None] * 9 + [1.0]], GateRule(0.0))
    assert nothing.worse is None
    assert "fewer than two pairs" in str(nothing.reason)


def test_a_name_that_no_run_has_is_an_error_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no run called 'x': it has t/checkpoint-1 \(20260101_120001\)"):
        gate(tmp_path, [BASE], GateRule(0.0, "x"))
