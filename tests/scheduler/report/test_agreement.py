"""The reward's scores beside those of people: matched by name, averaged, compared, and nothing left out in silence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Agreement, Report, UnmatchedRow
from scheduler.store.human_scores import HumanScore, HumanScores
from scheduler.store.results import Expected
from scheduler.store.rows import Row
from tests.scheduler.report.test_schema import problems
from tests.scheduler.rows import edited, failed, json_of, planned, scored

SCORES = {"1": 7.0, "2": 5.5, "3": 8.0, "4": 6.0, "5": 9.0, "6": 4.0}
PEOPLE = {"1": 4.0, "2": 3.0, "3": 2.0, "4": 4.0, "5": 5.0, "6": 2.0}


def rated(
    pair_id: str,
    score: float,
    category: str = "物理",
    *,
    sample: int | None = None,
    rater: str | None = None,
    line: int = 2,
) -> HumanScore:
    return HumanScore(line=line, category=category, pair_id=pair_id, sample=sample, rater=rater, score=score)


def ledger(scores: dict[str, float], category: str = "物理") -> list[Row]:
    rows: list[Row] = []
    for name, score in scores.items():
        rows += [planned(name, category), edited(name, category), scored(name, score, category)]
    return rows


def report_with(rows: Sequence[Row], human: Sequence[HumanScore], *, blank: int = 0, samples: int = 1) -> Report:
    given = HumanScores(tuple(human), blank, b"")
    return build_report(rows, manifest={}, expected=Expected(samples_per_pair=samples), human=given)


def agreement_of(rows: Sequence[Row], human: Sequence[HumanScore], *, blank: int = 0, samples: int = 1) -> Agreement:
    report = report_with(rows, human, blank=blank, samples=samples)
    assert report.agreement is not None
    assert problems(json_of(report)) == []
    return report.agreement


def test_it_is_per_category_and_overall_over_the_pairs_that_both_have_scored() -> None:
    from scipy import stats

    rows = [*ledger(SCORES), *ledger({"1": 3.0, "2": 4.0}, "b"), planned("7"), failed("7")]
    human = [*(rated(name, score) for name, score in PEOPLE.items()), rated("1", 1.0, "b"), rated("7", 2.0)]
    agreement = agreement_of(rows, human, blank=3)

    assert {name: group.num_pairs for name, group in agreement.categories.items()} == {"物理": 6, "b": 1}
    assert agreement.overall.num_pairs == 7
    assert (agreement.num_rows, agreement.num_blank, agreement.num_unscored, agreement.num_unrated) == (8, 3, 1, 1)
    assert agreement.unmatched == ()
    own, people = list(SCORES.values()), list(PEOPLE.values())
    of_category = agreement.categories["物理"]
    assert of_category.spearman.value == pytest.approx(stats.spearmanr(own, people).statistic)
    assert of_category.kendall.value == pytest.approx(stats.kendalltau(own, people).statistic)
    assert of_category.pearson == pytest.approx(stats.pearsonr(own, people).statistic)
    assert of_category.spearman.ci95 is not None
    assert agreement.categories["b"].spearman.value is None


def test_the_largest_differences_of_rank_come_first_with_their_sign() -> None:
    agreement = agreement_of(ledger(SCORES), [rated(name, score) for name, score in PEOPLE.items()])
    first = agreement.disagreements[0]
    # By the reward the fifth of six; by people tied for the last place.
    assert (first.pair_id, first.score, first.human_score, first.rank, first.human_rank) == ("3", 8.0, 2.0, 5.0, 1.5)
    assert first.rank_difference == 3.5
    assert [pair.pair_id for pair in agreement.disagreements] == ["3", "4", "2", "1", "6"], "5 is the best for both"


def test_several_rows_about_a_pair_are_averaged_and_raters_compared_among_each_other() -> None:
    human = [rated(name, score + 1, rater="Ann") for name, score in PEOPLE.items()]
    human += [rated(name, score - 1, rater="Bob") for name, score in PEOPLE.items()]
    human += [rated("1", 5.0, rater="Eve")]
    agreement = agreement_of(ledger(SCORES), human)
    alone = agreement_of(ledger(SCORES), [rated(name, score) for name, score in {**PEOPLE, "1": 13 / 3}.items()])
    assert (agreement.overall, agreement.disagreements) == (alone.overall, alone.disagreements)
    assert alone.raters is None
    assert agreement.raters is not None
    assert (agreement.raters.num_raters, agreement.raters.num_compared, agreement.raters.mean_spearman) == (3, 1, 1.0)


def test_people_who_rated_single_samples_are_compared_with_these_samples() -> None:
    rows: list[Row] = []
    for name, score in SCORES.items():
        rows += [planned(name), edited(name), edited(name, sample=1), scored(name, score)]
        rows.append(scored(name, 10 - score, sample=1))
    second = [rated(name, 10 - score, sample=1) for name, score in SCORES.items()]
    agreement = agreement_of(rows, [*second, rated("1", 1.0, sample=2)], samples=2)
    assert agreement.overall.spearman.value == 1.0
    assert agreement.unmatched == (UnmatchedRow(line=2, category="物理", pair_id="1", sample=2),)
    both = agreement_of(rows, [*second, *(rated(name, score, sample=0) for name, score in SCORES.items())], samples=2)
    assert both.overall.spearman.value is None, "all pairs have the same mean"


def test_names_are_found_as_they_are_and_as_the_csv_of_pairs_has_them() -> None:
    scores = {"=1": 1.0, "'=1": 2.0, "001": 3.0, "a\u200bb": 4.0, "a b": 5.0}
    agreement = agreement_of(
        ledger(scores, "=c"),
        [
            rated("'=1", 2.0, "'=c"),
            rated("=1", 1.0, "=c"),
            rated("a\\u200bb", 4.0, "'=c"),
            rated(" a b ", 5.0, "=c "),
            rated("1", 3.0, "=c", line=9),
        ],
    )
    assert agreement.unmatched == (UnmatchedRow(line=9, category="=c", pair_id="1", sample=None),), (
        "a spreadsheet may have made a number of 001: the report says so"
    )
    assert agreement.overall.spearman.value == 1.0


def test_a_file_that_fits_nothing_gives_a_report_that_says_so() -> None:
    report = report_with(ledger(SCORES), [rated("x", 1.0, line=number) for number in range(2, 10)])
    text = render_markdown(report, DEFAULT_METRICS)
    assert "- Pairs Compared: 0\n- Rows That Name No Pair or Sample of This Run: 8" in text
    assert "- Not Matched: 物理/x (line 2), 物理/x (line 3)" in text
    assert "(line 6) and 3 more, which the JSON report has" in text
    assert "| **Overall** | 0 | — | — | — | — | — |" in text
    assert len(json_of(report)["agreement"]["unmatched"]) == 8


def test_the_markdown_has_it_and_a_report_without_human_scores_has_not() -> None:
    human = [rated(name, score, rater=rater) for name, score in PEOPLE.items() for rater in ("Ann", "Bob")]
    text = render_markdown(report_with(ledger(SCORES), human), DEFAULT_METRICS)
    assert "| Category | Pairs | Spearman | 95% CI | Kendall tau-b | 95% CI | Pearson |" in text
    # Squares of rank differences sum up to 16; people have two ties of two: (17.5 + 16.5 - 16) / 2 / sqrt(17.5 * 16.5).
    assert "| **Overall** | 6 | 0.53 |" in text
    assert "| 物理 | 3 | 8.00 | 2.00 | 5 | 1.5 | +3.5 |" in text
    assert "- Among 2 Raters: Spearman 1.00 on average (pairs of raters: 1)" in text
    without = build_report(ledger(SCORES), manifest={}, expected=Expected())
    assert "Human" not in render_markdown(without, DEFAULT_METRICS)
    assert json_of(without)["agreement"] is None
