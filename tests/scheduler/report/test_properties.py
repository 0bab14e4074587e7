"""Whatever order rows come in: nothing is lost, the counts add up, and the report is strict JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.json_form import to_json
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Report
from scheduler.store.checked_rows import checked_rows
from scheduler.store.results import Expected
from scheduler.store.rows import FailureStage, Row, StageRow
from scheduler.store.tally import OUTDATED
from tests.scheduler.rows import edited, failed, planned, scored, stage_end

PAIRS = [("物理", "1"), ("物理", "2"), ("环境", "1")]
numbers = st.integers(min_value=0, max_value=1)
identities = st.sampled_from(["A", "B"])
scores = st.floats(allow_nan=True, allow_infinity=True)
messages = st.text(max_size=20) | st.just("\ud800 | <b>")


def of_a_pair(make: Callable[..., Row], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    pair = st.sampled_from(PAIRS).map(lambda pair: {"category": pair[0], "pair_id": pair[1]})
    return st.builds(lambda key, rest: make(**key, **rest), pair, st.fixed_dictionaries(fields))


rows = st.lists(
    st.one_of(
        of_a_pair(planned, loaded=st.booleans()),
        of_a_pair(edited, sample=numbers, identity=identities),
        of_a_pair(scored, score=scores, sample=numbers, pass_=numbers, identity=identities),
        of_a_pair(
            failed,
            stage=st.sampled_from(["load", "edit", "score"]),
            kind=st.sampled_from(["error", OUTDATED]),
            message=messages,
            sample=st.none() | numbers,
            pass_=st.none() | numbers,
            identity=st.none() | identities,
        ),
        st.builds(stage_end, st.sampled_from(["edit", "score"]), wall=scores, device=scores, workers=numbers),
    ),
    max_size=25,
)
expectations = st.builds(
    Expected,
    samples_per_pair=st.integers(min_value=1, max_value=2),
    reward_passes=st.integers(min_value=1, max_value=2),
    stages=st.sampled_from([("edit", "score"), ("edit",), ("score",)]),
)


def built(ledger: list[Row], expected: Expected, manifest: Mapping[str, Any] | None = None) -> Report:
    """The report of a run directory with this ledger."""
    checked = checked_rows(ledger, Path("run"), manifest or {})
    return build_report(checked, manifest=manifest or {}, expected=expected)


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


@given(rows, expectations)
def test_the_counts_add_up_and_are_those_of_the_pairs(ledger: list[Row], expected: Expected) -> None:
    report = built(ledger, expected)
    keys = {(row.category, row.pair_id) for row in ledger if not isinstance(row, StageRow)}

    assert {(pair.category, pair.pair_id) for pair in report.pairs} == keys
    assert report.overall.num_pairs == len(report.pairs) == len(keys)
    for group in [report.overall, *report.category_statistics.values()]:
        scored_pairs = group.num_samples
        assert scored_pairs + group.num_failed + group.num_missing + group.num_edited == group.num_pairs
        assert not (group.num_edited and "score" in expected.stages)
    assert sum(group.num_pairs for group in report.category_statistics.values()) == report.overall.num_pairs
    assert (report.status == "COMPLETE") == (bool(keys) and report.overall.num_failed + report.overall.num_missing == 0)


@given(rows, expectations)
def test_a_pair_has_a_score_exactly_if_it_is_scored_and_a_reason_exactly_if_it_failed(
    ledger: list[Row], expected: Expected
) -> None:
    report = built(ledger, expected)
    reasons = {(failure.category, failure.pair_id) for failure in report.failures}
    for pair in report.pairs:
        assert (pair.score is not None) == (pair.status == "scored")
        assert ((pair.category, pair.pair_id) in reasons) == (pair.status == "failed")


@given(rows, expectations, st.sampled_from(["load", "edit", "score"]), st.none() | st.just(0), st.none() | st.just(0))
def test_whatever_came_before_a_failure_of_new_work_is_reported(
    ledger: list[Row], expected: Expected, stage: FailureStage, sample: int | None, pass_: int | None
) -> None:
    assume(stage != "score" or "score" in expected.stages)
    last = failed("1", stage=stage, kind="new", sample=sample, pass_=pass_, identity="C")
    report = built([*ledger, last], expected)
    assert ("物理", "1", stage, "new") in [(f.category, f.pair_id, f.stage, f.kind) for f in report.failures]


@given(rows, expectations)
def test_whatever_came_before_a_pair_that_is_wholly_done_anew_is_scored(ledger: list[Row], expected: Expected) -> None:
    again: list[Row] = []
    for sample in range(expected.samples_per_pair):
        again.append(edited("1", sample=sample, identity="C"))
        again += [scored("1", 7.0, sample=sample, pass_=n, identity="C") for n in range(expected.reward_passes)]
    report = built([*ledger, *again], expected)
    assert [(pair.status, pair.score) for pair in report.pairs if (pair.category, pair.pair_id) == PAIRS[0]] == [
        ("scored", 7.0)
    ]


@given(rows, expectations)
def test_both_reports_can_always_be_written(ledger: list[Row], expected: Expected) -> None:
    report = built(ledger, expected, {"notes": ["\ud800"], "nan": float("nan"), "big": 2**80})
    parsed = json.loads(to_json(report).decode("utf-8"), parse_constant=refuse)

    assert parsed["summary"]["total_pairs"] == len(parsed["pairs"])
    assert len(parsed["failures"]) == len(report.failures)
    assert render_markdown(report, DEFAULT_METRICS).startswith("# Image Edit Benchmark Evaluation Report\n")


def test_a_score_of_an_unplanned_pair_is_not_lost() -> None:
    report = build_report([scored("1", 7.0)], manifest={}, expected=Expected())
    assert [pair.score for pair in report.pairs] == [7.0]
