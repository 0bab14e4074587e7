"""Runs are compared pair by pair, and only where that means something."""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from scheduler.commands.compare import add_arguments, compare_runs
from scheduler.report.compare.comparison import compare, is_worse
from scheduler.report.compare.comparison_report import Comparison, PairKey
from scheduler.report.compare.saved_runs import ComparedRuns
from scheduler.report.compare.words import signed_text
from scheduler.report.saved_run import SavedRun, open_run
from scheduler.store.rows import PlannedRow, Row
from tests.docs.markdown import ROOT
from tests.scheduler.rows import edited, failed, planned, report_of, scored
from tests.scheduler.saved import saved_run


def pair(name: str, score: float, category: str = "物理", **changed: str) -> list[Row]:
    plan: PlannedRow = msgspec.structs.replace(planned(name, category), **changed)
    return [plan, edited(name, category), scored(name, score, category)]


def rows(*pairs: list[Row]) -> list[Row]:
    return [row for of_pair in pairs for row in of_pair]


def compared(first: list[Row], other: list[Row]) -> Comparison:
    return compare(report_of(first), report_of(other))


def test_differences_are_of_pairs_and_agree_with_scipy() -> None:
    from scipy import stats

    draw = random.Random(5)  # noqa: S311 - drawn data
    first = {str(number): draw.uniform(0, 10) for number in range(30)}
    other = {name: score + draw.gauss(0.3, 1.0) for name, score in first.items()}
    names = list(other)
    draw.shuffle(names)
    comparison = compared(
        rows(*(pair(name, score, "ab"[int(name) % 2]) for name, score in first.items())),
        rows(*(pair(name, other[name], "ab"[int(name) % 2]) for name in names)),
    )

    before, now = np.array(list(first.values())), np.array(list(other.values()))
    overall = comparison.overall
    assert overall.first_mean == pytest.approx(before.mean())
    assert overall.other_mean == pytest.approx(now.mean())
    assert overall.mean_difference == pytest.approx((now - before).mean())
    assert overall.ci95 == pytest.approx(tuple(stats.ttest_rel(now, before).confidence_interval(0.95)))
    wins = int(np.sum(now > before))
    assert overall.sign_test_p == pytest.approx(stats.binomtest(wins, 30).pvalue)
    even = (now - before)[::2]
    assert comparison.categories["a"].mean_difference == pytest.approx(even.mean())
    assert comparison.categories["a"].wins == int(np.sum(even > 0))


def test_a_run_against_itself_differs_by_exactly_zero() -> None:
    draw = random.Random(6)  # noqa: S311 - drawn data
    run = rows(*(pair(str(n), draw.uniform(-1e3, 1e3), "ab"[n % 2]) for n in range(50)), [planned("x"), failed("x")])
    comparison = compared(run, run)
    for group in (comparison.overall, *comparison.categories.values()):
        assert (group.mean_difference, group.std_difference, group.ci95) == (0.0, 0.0, (0.0, 0.0))
        assert (group.wins, group.losses, group.sign_test_p) == (0, 0, None)
    assert len(comparison.pairs) == 50
    assert (comparison.not_comparable, comparison.only_in_first, comparison.only_in_other) == ((), (), ())
    assert is_worse(comparison.overall, 0.0) is False


def test_a_difference_of_rounding_alone_is_a_tie() -> None:
    comparison = compared(rows(pair("1", 3.4)), rows(pair("1", 3.4000000000000004)))
    assert (comparison.overall.ties, comparison.overall.mean_difference) == (1, 0.0)
    assert signed_text(7e-18) == signed_text(-7e-18) == "0.00"
    assert signed_text(None) == "—"


def test_another_source_or_instruction_under_one_name_is_another_pair() -> None:
    first = rows(pair("1", 5.0), pair("2", 5.0), pair("3", 5.0), pair("4", 5.0))
    other = rows(
        pair("1", 6.0),
        pair("2", 0.0, source_sha256="f" * 64),
        pair("3", 0.0, instruction="another"),
        pair("4", 0.0, source_sha256="f" * 64, instruction="another"),
    )
    comparison = compared(first, other)
    assert [pair.pair_id for pair in comparison.pairs] == ["1"]
    assert {pair.pair_id: pair.differs for pair in comparison.not_comparable} == {
        "2": ("source",),
        "3": ("instruction",),
        "4": ("source", "instruction"),
    }
    assert comparison.overall.mean_difference == 1.0


def test_a_pair_without_a_score_is_left_out_and_listed_never_taken_for_zero() -> None:
    bad: list[Row] = [planned("5", loaded=False), failed("5", stage="load", kind="bad_image", sample=None)]
    first = rows(pair("1", 5.0), pair("2", 5.0), pair("3", 5.0), [planned("4"), failed("4")], pair("5", 9.0))
    other = rows(pair("1", 4.0), [planned("2"), failed("2")], [planned("3"), edited("3")], pair("4", 9.0), bad)
    comparison = compared(first, other)
    assert [(pair.pair_id, pair.first, pair.other) for pair in comparison.without_score] == [
        ("2", "scored", "failed"),
        ("3", "scored", "missing"),
        ("4", "failed", "scored"),
        ("5", "scored", "failed"),
    ]
    assert comparison.overall.num_pairs == 1
    assert comparison.overall.mean_difference == -1.0
    assert comparison.overall.ci95 is None, "one pair has no interval"
    assert comparison.not_comparable == ()


def test_pairs_of_one_run_alone_are_listed_and_categories_are_separate() -> None:
    comparison = compared(rows(pair("1", 5.0), pair("2", 5.0)), rows(pair("1", 5.0, "指代"), pair("2", 5.5)))
    assert comparison.only_in_first == (PairKey("物理", "1"),)
    assert comparison.only_in_other == (PairKey("指代", "1"),)
    assert list(comparison.categories) == ["物理"]


@pytest.mark.parametrize(
    ("other", "by", "worse"),
    [(6.8, 0.2, False), (6.79, 0.2, True), (6.8, 0.1, True), (7.2, 0.0, False), (7.0, 0.0, False), (6.9, 0.0, True)],
)
def test_worse_is_a_mean_difference_below_what_is_allowed(other: float, by: float, worse: bool) -> None:
    first, second = report_of(pair("1", 7.0)), report_of(pair("1", other))
    assert compare(first, second, fail_if_worse=by).worse is worse
    assert compare(first, second).worse is None


def test_without_pairs_to_compare_worse_is_unknown() -> None:
    comparison = compare(report_of(pair("1", 7.0)), report_of(pair("2", 1.0)), fail_if_worse=0.2)
    assert comparison.worse is None
    assert comparison.overall.num_pairs == 0


# -- what is shown and written


def run_of(folder: Path, *ledger: Row, **manifest: object) -> SavedRun:
    return open_run(str(saved_run(folder, ledger, manifest=dict(manifest))), None)


def shown(runs: list[SavedRun], folder: Path, limit: float | None = None) -> tuple[ComparedRuns, str]:
    screen = io.StringIO()
    result = compare_runs(Console(width=200, file=screen), runs, folder, limit)
    return result, screen.getvalue()


def editor(steps: int) -> dict[str, object]:
    return {"type": "qwen_image_edit", "parameters": {"num_inference_steps": steps}}


def test_the_screen_shows_what_differs_what_is_not_comparable_and_the_result(tmp_path: Path) -> None:
    from scipy import stats

    first = run_of(tmp_path / "a", *rows(*(pair(str(n), 7.0) for n in range(9))), editor=editor(50))
    other = run_of(
        tmp_path / "b",
        *rows(
            *(pair(str(n), 6.0 + n / 10) for n in range(5)),
            *(pair(str(n), 1.0, instruction="another") for n in (5, 6)),
            [planned("7"), failed("7")],
            pair("new", 5.0),
        ),
        editor=editor(28),
        notes=["The editor is simulated."],
    )
    result, text = shown([first, other], tmp_path, 0.2)

    assert "A: " in text
    assert "COMPLETE, 9 of 9 pairs scored" in text
    assert "B: The editor is simulated." in text
    assert "editor.parameters.num_inference_steps 50 -> 28" in text
    assert "NOT COMPARABLE: 2 pairs have another source image or instruction in B than in A" in text
    assert "物理/5 (instruction), 物理/6 (instruction)" in text
    assert "1 pair without a score in A or B is left out (1: A scored, B failed): 物理/7" in text
    assert "1 pair is in A alone: 物理/8" in text
    assert "1 pair is in B alone: 物理/new" in text
    assert "B against A, 5 pairs: mean difference -0.80, 95% interval [-1.00, -0.60]. WORSE by more than 0.2" in text
    assert [comparison.other for comparison in result.comparisons if comparison.worse] == ["B"]
    low, high = stats.ttest_1samp([n / 10 - 1 for n in range(5)], 0).confidence_interval()
    assert (round(low, 2), round(high, 2)) == (-1.0, -0.6)


def test_help_and_document_name_the_page() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert "comparison_<ids>.html" in parser.format_help()
    assert "| `comparison_<id>_<id>.html` | the page: " in (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")


def test_the_file_names_have_all_runs_and_the_json_has_every_pair(tmp_path: Path) -> None:
    first = run_of(tmp_path / "a", *rows(pair("1", 7.0), pair("2", 7.0), pair("3", 7.0)))
    other = run_of(tmp_path / "b", *rows(pair("1", 7.5), pair("2", 7.0, instruction="x"), pair("4", 1.0)))
    shown([first, other, first], tmp_path / "a", 1.0)

    stamp = first.stamp
    content = json.loads((tmp_path / "a" / f"comparison_{stamp}_{stamp}_{stamp}.json").read_text(encoding="utf-8"))
    assert [run["label"] for run in content["runs"]] == ["A", "B", "C"]
    comparison, same = content["comparisons"]
    assert comparison["pairs"] == [{"category": "物理", "pair_id": "1", "first": 7.0, "other": 7.5, "difference": 0.5}]
    assert comparison["not_comparable"] == [{"category": "物理", "pair_id": "2", "differs": ["instruction"]}]
    assert comparison["only_in_first"] == [{"category": "物理", "pair_id": "3"}]
    assert comparison["only_in_other"] == [{"category": "物理", "pair_id": "4"}]
    assert comparison["overall"]["mean_difference"] == 0.5
    assert (comparison["overall"]["ci95"], comparison["worse"]) == (None, False)
    assert same["overall"]["mean_difference"] == 0.0
    assert (tmp_path / "a" / f"comparison_{stamp}_{stamp}_{stamp}.md").is_file()


def test_text_from_data_has_no_effect_on_the_screen_or_in_markdown(tmp_path: Path) -> None:
    evil = "|x\x1b[31m\n# [a](http://b) <b>"
    mine = rows(pair(evil, 7.0, evil), pair("2", 1.0, evil, instruction=evil))
    first = run_of(tmp_path / "a", *mine, editor={"type": evil}, notes=[evil])
    other = run_of(tmp_path / "b", *rows(pair(evil, 6.0, evil), pair("2", 1.0, evil), pair(f"{evil}3", 1.0, evil)))
    _, text = shown([first, other], tmp_path)
    assert "\x1b" not in text
    markdown = next(tmp_path.glob("comparison_*.md")).read_text(encoding="utf-8")
    assert "\x1b" not in markdown
    assert "<b>" not in markdown
    assert "[a](" not in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {11}
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert headings == ["# Comparison of Image Edit Benchmark Runs", "## B against A"]


def test_a_manifest_of_another_form_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    first = run_of(tmp_path / "a", *pair("1", 7.0), workers=[{"role": "editor"}])
    _, text = shown([first, run_of(tmp_path / "b", *pair("1", 7.0))], tmp_path)
    assert "unknown: a manifest does not have this version's form" in text


def test_names_of_many_runs_still_make_a_file_name(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", *pair("1", 7.0))
    shown([run] * 30, tmp_path)
    (name,) = (path.name for path in tmp_path.glob("comparison_*.json"))
    assert len(name.encode()) <= 255


def test_of_more_than_two_runs_the_table_of_all_comes_first(tmp_path: Path) -> None:
    runs = [
        run_of(
            tmp_path / name, *rows(*(pair(str(n), score + n % 3) for n in range(9))), editor={"model_name": f"t/{name}"}
        )
        for name, score in (("x", 5.0), ("y", 7.0), ("z", 6.0))
    ]
    result, text = shown(runs, tmp_path)
    assert result.series is not None
    assert [result.series.runs[number].title for number in result.series.ranking] == ["B: t/y", "C: t/z", "A: t/x"]
    assert text.index("B: t/y") < text.index("Settings, A → B")
    assert "corrected for all 3 comparisons of two runs" in text
    name = f"comparison_{'_'.join([runs[0].stamp] * 3)}"
    markdown = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "| C: t/z | 9/9 | 7.00 |" in markdown
    assert markdown.index("| C: t/z |") < markdown.index("## B against A")
    series = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["series"]
    assert [run["best"] and run["best"]["mean_difference"] for run in series["runs"]] == [-2.0, None, -1.0]
    assert series["pairs"] == []


def test_without_a_common_pair_or_with_two_runs_there_is_no_such_table(tmp_path: Path) -> None:
    first, other = (run_of(tmp_path / name, *rows(pair(name, 5.0))) for name in "xy")
    assert shown([first, other, first], tmp_path)[0].series is None
    assert shown([first, first], tmp_path)[0].series is None
