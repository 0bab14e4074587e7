"""Statistics of single aspects: over the pairs that have them, and with the rule that makes one score of them."""

from __future__ import annotations

import pytest

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import render_markdown
from scheduler.statistics.describe import describe
from scheduler.store.rows import Row
from tests.scheduler.report.test_schema import problems
from tests.scheduler.rows import edited, failed, json_of, planned, report_of, scored

ROWS: list[Row] = [
    *(planned("1"), edited("1"), scored("1", 4.0, aspects={"look": 8.0, "sense": 4.0})),
    *(planned("2"), edited("2"), scored("2", 6.0, aspects={"look": 7.0, "sense": 6.0})),
    *(planned("3"), edited("3"), failed("3", stage="score", pass_=0)),
    *(planned("1", "b"), edited("1", "b"), scored("1", 9.0, "b", aspects={"look": 9.0})),
    *(planned("1", "c"), edited("1", "c"), scored("1", 5.0, "c")),
]
RULES = {"combine": {"物理": "min", "b": "geometric_mean"}}


def test_each_category_has_its_aspects_and_all_together_those_of_the_pairs_that_have_them() -> None:
    report = report_of(ROWS, manifest=RULES)
    assert report.category_statistics["物理"].aspects == {"look": describe([8.0, 7.0]), "sense": describe([4.0, 6.0])}
    assert report.category_statistics["c"].aspects == {}
    assert report.overall.aspects == {"look": describe([8.0, 7.0, 9.0]), "sense": describe([4.0, 6.0])}
    assert {name: group.combine for name, group in report.category_statistics.items()} == {
        "物理": "min", "b": "geometric_mean", "c": None
    }  # fmt: skip
    plain = json_of(report)
    assert problems(plain) == []
    assert plain["category_statistics"]["物理"]["aspects"]["look"]["mean"] == 7.5
    assert plain["category_statistics"]["物理"]["combine"] == "min"


def test_a_pairs_aspect_is_the_mean_over_its_samples_of_the_mean_over_their_passes() -> None:
    rows: list[Row] = [planned("1"), edited("1"), edited("1", sample=1)]
    values = {(0, 0): 1.0, (0, 1): 3.0, (1, 0): 7.0, (1, 1): 9.0}
    rows += [scored("1", 5.0, sample=n, pass_=p, aspects={"look": value}) for (n, p), value in values.items()]
    report = report_of(rows, samples_per_pair=2, reward_passes=2)
    assert report.overall.aspects == {"look": describe([5.0])}


def test_a_pair_that_lacks_an_aspect_somewhere_does_not_count_for_it() -> None:
    rows: list[Row] = [planned("1"), edited("1")]
    rows += [scored("1", 5.0, aspects={"look": 5.0, "sense": 1.0}), scored("1", 5.0, pass_=1, aspects={"look": 5.0})]
    report = report_of(rows, reward_passes=2)
    assert report.overall.aspects == {"look": describe([5.0]), "sense": describe([])}


@pytest.mark.parametrize(
    ("manifest", "line"),
    [
        (RULES, "- Score of an Edit: the lowest of its aspects (combine: min)"),
        ({"combine": {"物理": "mean"}}, "- Score of an Edit: the mean of its aspects (combine: mean)"),
        ({}, "- Score of an Edit: made of its aspects; the run did not record the rule"),
        ({"combine": ["broken"]}, "- Score of an Edit: made of its aspects; the run did not record the rule"),
    ],
)
def test_the_markdown_has_a_table_of_aspects_and_states_the_rule(manifest: dict[str, object], line: str) -> None:
    text = render_markdown(report_of(ROWS, manifest=manifest), DEFAULT_METRICS)
    section = text[text.index("### 物理") : text.index("### b")]
    assert line in section
    assert "| Aspect | Mean | Std | Median | Min | Max | Count |" in section
    assert "| sense | 5.00 | 1.00 | 5.00 | 4.00 | 6.00 | 2 |" in section
    assert "Aspect" not in text[text.index("### c") :]
