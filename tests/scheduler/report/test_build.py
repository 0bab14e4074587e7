"""What counts for a pair, row after row, and how the counts, scores and times come together."""

from __future__ import annotations

import math

import pytest

from scheduler.report.model import Report
from scheduler.store.results import Expected
from scheduler.store.rows import Row, decode_row, encode_row
from tests.scheduler.rows import edited, failed, json_of, planned, report_of, scored, sha


def status_of(report: Report) -> list[tuple[str, str, float | None]]:
    return [(pair.pair_id, pair.status, pair.score) for pair in report.pairs]


def kinds_of(report: Report) -> list[str]:
    return [failure.kind for failure in report.failures]


def test_a_finished_run_is_complete_and_has_the_contracts_keys() -> None:
    rows: list[Row] = [planned("a"), planned("b"), planned("c", "环境")]
    for pair_id, category, score in (("a", "物理", 6.0), ("b", "物理", 8.0), ("c", "环境", 10.0)):
        rows += [edited(pair_id, category), scored(pair_id, score, category)]

    report = json_of(report_of(rows))

    assert report["status"] == "COMPLETE"
    assert report["summary"] == {
        "total_pairs": 3,
        "categories": 2,
        "overall_mean": 8.0,
        "overall_std": pytest.approx(math.sqrt(8 / 3)),
    }
    assert list(report["category_statistics"]) == ["物理", "环境"]
    statistics = report["category_statistics"]["物理"]
    assert statistics["ci95"] == [pytest.approx(7 - 12.7062047), pytest.approx(7 + 12.7062047)]
    assert {key: statistics[key] for key in ("mean", "std", "median", "min", "max", "num_samples")} == {
        "mean": 7.0,
        "std": 1.0,
        "median": 7.0,
        "min": 6.0,
        "max": 8.0,
        "num_samples": 2,
    }
    assert (statistics["num_pairs"], statistics["num_failed"], statistics["num_missing"]) == (2, 0, 0)
    assert report["overall"]["macro_mean"] == 8.5
    assert report["overall"]["mean"] == 8.0
    assert report["category_statistics"]["环境"]["ci95"] is None
    assert report["failures"] == []


def test_a_pair_without_a_score_is_counted_and_never_averaged() -> None:
    report = report_of(
        [
            planned("a"),
            edited("a"),
            scored("a", 4.0),
            planned("b"),
            failed("b"),
            planned("c"),
            planned("d", loaded=False),
            failed("d", stage="load", kind="bad_base64", sample=None),
        ]
    )

    assert status_of(report) == [
        ("a", "scored", 4.0),
        ("b", "failed", None),
        ("c", "missing", None),
        ("d", "failed", None),
    ]
    overall = report.overall
    assert (overall.num_pairs, overall.num_samples, overall.num_failed, overall.num_missing) == (4, 1, 2, 1)
    assert overall.mean == 4.0
    assert kinds_of(report) == ["oom", "bad_base64"]
    assert report.status == "INCOMPLETE"


def test_a_category_in_which_everything_failed_has_null_statistics_and_leaves_the_macro_mean_alone() -> None:
    report = report_of([planned("a"), edited("a"), scored("a", 4.0), planned("b", "环境"), failed("b", "环境")])

    assert report.category_statistics["环境"].mean is None
    assert report.category_statistics["环境"].num_failed == 1
    assert report.overall.macro_mean == 4.0


def test_an_empty_ledger_is_no_complete_evaluation() -> None:
    report = report_of([])
    assert report.status == "INCOMPLETE"
    assert json_of(report)["summary"]["overall_mean"] is None


def test_a_pairs_score_is_the_mean_over_samples_of_the_mean_over_passes() -> None:
    rows: list[Row] = [planned("a")]
    for sample, scores in enumerate(([2.0, 4.0], [8.0, 10.0])):
        rows.append(edited("a", sample=sample))
        rows += [scored("a", score, sample=sample, pass_=pass_) for pass_, score in enumerate(scores)]

    report = report_of(rows, samples_per_pair=2, reward_passes=2)

    assert status_of(report) == [("a", "scored", 6.0)]
    assert [sample.score for sample in report.pairs[0].samples] == [3.0, 9.0]


def test_one_pass_that_failed_fails_the_pair_and_other_scores_are_still_shown() -> None:
    report = report_of(
        [
            planned("a"),
            edited("a"),
            scored("a", 5.0),
            failed("a", stage="score", kind="unreadable_reply", pass_=1),
        ],
        reward_passes=2,
    )

    assert status_of(report) == [("a", "failed", None)]
    assert [(failure.kind, failure.sample, failure.pass_) for failure in report.failures] == [
        ("unreadable_reply", 0, 1)
    ]
    assert [score.score for score in report.pairs[0].samples[0].scores] == [5.0]
    assert report.pairs[0].samples[0].score is None


def test_a_pair_of_which_a_pass_is_still_to_come_is_missing_not_failed() -> None:
    assert status_of(report_of([planned("a"), edited("a"), scored("a", 5.0)], reward_passes=2)) == [
        ("a", "missing", None)
    ]


def test_two_samples_that_fail_are_two_failures_of_one_pair() -> None:
    report = report_of([planned("a"), failed("a", sample=0), failed("a", sample=1, kind="poison")], samples_per_pair=2)
    assert kinds_of(report) == ["oom", "poison"]
    assert report.overall.num_failed == 1


def test_a_failure_of_a_whole_pair_is_listed_once() -> None:
    report = report_of([planned("a"), failed("a", sample=None, kind="poison")], samples_per_pair=3)
    assert kinds_of(report) == ["poison"]


def test_a_success_supersedes_the_failure_before_it() -> None:
    report = report_of(
        [
            planned("a", loaded=False),
            failed("a", stage="load", kind="bad_image", sample=None),
            planned("a"),
            failed("a"),
            edited("a"),
            failed("a", stage="score", kind="oom"),
            scored("a", 7.0),
        ]
    )
    assert status_of(report) == [("a", "scored", 7.0)]
    assert report.failures == ()


def test_the_first_result_for_an_identity_counts() -> None:
    report = report_of(
        [
            planned("a"),
            edited("a"),
            scored("a", 7.0),
            edited("a", sha256=sha("late")),
            scored("a", 1.0),
            failed("a", identity="A"),
        ]
    )
    assert status_of(report) == [("a", "scored", 7.0)]
    assert report.pairs[0].samples[0].sha256 == sha("a 0 A")


def test_work_redone_for_another_identity_supersedes_the_older() -> None:
    before: list[Row] = [planned("a"), edited("a"), scored("a", 7.0)]

    assert status_of(report_of([*before, scored("a", 3.0, identity="B")])) == [("a", "scored", 3.0)]
    assert status_of(report_of([*before, failed("a", stage="score", identity="B")])) == [("a", "failed", None)]
    assert status_of(report_of([*before, failed("a", identity="B")])) == [("a", "failed", None)]


def test_a_new_image_takes_the_old_images_score_with_it() -> None:
    before: list[Row] = [planned("a"), edited("a"), scored("a", 7.0)]

    assert status_of(report_of([*before, edited("a", identity="B")])) == [("a", "missing", None)]
    same_image = edited("a", identity="B", sha256=sha("a 0 A"))
    assert status_of(report_of([*before, same_image])) == [("a", "scored", 7.0)]


def test_an_edit_that_could_not_be_made_again_is_a_failure_while_the_score_is_still_missing() -> None:
    rows: list[Row] = [planned("a"), edited("a"), failed("a", identity="A", kind="oom")]
    assert status_of(report_of(rows)) == [("a", "failed", None)]
    assert kinds_of(report_of(rows)) == ["oom"]
    assert status_of(report_of([*rows, scored("a", 7.0)])) == [("a", "scored", 7.0)]


def test_a_run_that_only_edits_is_complete_when_everything_is_edited() -> None:
    report = report_of([planned("a"), edited("a")], stages=("edit",))
    assert status_of(report) == [("a", "edited", None)]
    assert report.status == "COMPLETE"
    assert report.overall.num_edited == 1
    assert report.overall.num_samples == 0


def test_edits_that_were_made_elsewhere_need_no_edited_row() -> None:
    report = report_of([planned("a"), scored("a", 7.0)], stages=("score",))
    assert status_of(report) == [("a", "scored", 7.0)]
    assert report.status == "COMPLETE"


def test_samples_and_passes_beyond_the_expected_ones_count_for_nothing() -> None:
    report = report_of(
        [
            planned("a"),
            edited("a"),
            scored("a", 7.0),
            edited("a", sample=1),
            scored("a", 1.0, pass_=1),
            failed("a", sample=2),
        ]
    )
    assert status_of(report) == [("a", "scored", 7.0)]
    assert report.status == "COMPLETE"


def test_pairs_keep_the_benchmarks_order_whatever_comes_first() -> None:
    report = report_of(
        [scored("stray", 1.0, "别的"), planned("b", "环境"), planned("a"), edited("a"), planned("b", "环境")]
    )
    assert [pair.pair_id for pair in report.pairs] == ["b", "a", "stray"]
    assert list(report.category_statistics) == ["环境", "物理", "别的"]


def test_rows_that_went_through_a_ledger_give_the_same_report() -> None:
    rows: list[Row] = [planned("a"), edited("a"), scored("a", 7.25, aspects={"质量": 7.0}), planned("b"), failed("b")]
    assert report_of([decode_row(encode_row(row)) for row in rows]) == report_of(rows)


def test_a_sample_shows_all_that_a_gallery_needs() -> None:
    rows: list[Row] = [planned("a"), edited("a"), scored("a", 7.0, aspects={"quality": 7.0}, method="logits")]
    pair = json_of(report_of(rows))["pairs"][0]

    assert pair["instruction"] == "edit a"
    assert pair["samples"] == [
        {
            "sample": 0,
            "seed": 0,
            "image": "images/a.png",
            "sha256": sha("a 0 A"),
            "size": [64, 48],
            "worker": "editor-0",
            "device": "cuda:0",
            "round": 0,
            "edit_device_seconds": 1.5,
            "score": 7.0,
            "scores": [
                {
                    "pass": 0,
                    "score": 7.0,
                    "aspects": {"quality": 7.0},
                    "dimensions": {"quality": 7.0},
                    "response": "fine",
                    "method": "logits",
                    "worker": "reward-0",
                    "device": "cuda:1",
                    "batch": 0,
                    "batch_device_seconds": 0.5,
                    "usage": None,
                }
            ],
            "answers": [],
        }
    ]


def test_what_is_expected_has_to_make_sense() -> None:
    with pytest.raises(ValueError, match=r"samples_per_pair \(0\)"):
        Expected(samples_per_pair=0)
    with pytest.raises(ValueError, match="stages are edit, score or both"):
        Expected(stages=())
