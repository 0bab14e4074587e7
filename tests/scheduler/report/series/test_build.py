"""A series: the order of its runs, their differences over the pairs that count, and what keeps runs apart."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from scheduler.report.compare.official_comparison import DifferentJudgingError
from scheduler.report.saved_run import read_run
from scheduler.report.series.model import Series, SettingDifference
from scheduler.report.series.pairs import DifferentBenchmarkError
from scheduler.report.series.plots import plots
from scheduler.report.series.writing import read_series
from scheduler.report.writing import write_reports
from scheduler.store.rows import Row
from tests.scheduler.report import official_rows
from tests.scheduler.report.series.runs import checkpoint, manifest_of
from tests.scheduler.rows import edited, failed, planned, scored
from tests.scheduler.saved import saved_run

A = [5.0, 6.0, 7.0, 4.0, 8.0, 5.0, 6.0, 7.0, 3.0, 9.0, 4.0, 6.0]
B = [6.0, 6.0, 8.0, 4.0, 9.0, 4.0, 7.0, 7.0, 5.0, 9.0, 5.0, 8.0]
C = [6.0, 5.0, 9.0, 5.0, 9.0, 6.0, 6.0, 8.0, 5.0, 10.0, 6.0, 7.0]


def series_of(folder: Path, *runs: tuple[str, list[float | None]]) -> Series:
    """The series of these checkpoints, each a model and its scores, named in this order."""
    paths = [
        checkpoint(folder, model, scores, stamp=f"20260101_12{number:04}")
        for number, (model, scores) in enumerate(runs)
    ]
    return read_series(paths, folder / "series")


def test_runs_without_a_step_come_first_then_training_after_training_by_step(tmp_path: Path) -> None:
    series = series_of(
        tmp_path, ("/b/checkpoint-20", [*A]), ("/a/checkpoint-100", [*A]), ("/b/checkpoint-3", [*A]), ("base", [*A])
    )
    assert [(run.training, run.step) for run in series.runs] == [(None, None), ("/b", 3), ("/b", 20), ("/a", 100)]
    assert series.by_step
    assert [run.previous and run.previous.run for run in series.runs] == [None, 0, 1, 0], "of its own training"
    assert not series_of(tmp_path / "2", ("one", [*A]), ("/a/checkpoint-1", [*A])).by_step


def test_differences_are_those_of_scipy_with_p_values_corrected_over_all_pairs_of_runs(tmp_path: Path) -> None:
    from scipy import stats

    series = series_of(tmp_path, ("t/checkpoint-1", [*A]), ("t/checkpoint-2", [*B]), ("t/checkpoint-3", [*C]))
    assert series.ranking == (2, 1, 0)
    assert series.num_comparisons == 3
    scores = (A, B, C)
    p_values = sorted(stats.ttest_rel(scores[one], scores[other]).pvalue for one, other in combinations(range(3), 2))
    for run in series.runs[:2]:
        assert run.best is not None
        found = stats.ttest_rel(scores[series.runs.index(run)], C)
        assert run.best.p == pytest.approx(found.pvalue)
        assert run.best.ci95 == pytest.approx(tuple(found.confidence_interval(0.95)))
        assert run.best.ci95_series == pytest.approx(tuple(found.confidence_interval(1 - 0.05 / 3)))
        place = p_values.index(pytest.approx(run.best.p))
        holm = max(min(1.0, (3 - number) * p) for number, p in enumerate(p_values[: place + 1]))
        assert run.best.p_series == pytest.approx(holm)
    last = series.runs[2].previous
    assert last is not None
    assert (last.run, last.num_pairs) == (1, 12)
    assert last.mean_difference == pytest.approx(sum(C) / 12 - sum(B) / 12)
    assert (last.wins, last.ties, last.losses) == (6, 3, 3)


def test_a_pair_without_a_score_is_left_out_of_the_comparisons_that_lack_it_and_of_no_others(tmp_path: Path) -> None:
    series = series_of(
        tmp_path, ("t/checkpoint-1", [None, *A[1:]]), ("t/checkpoint-2", [*B[:11], None]), ("t/checkpoint-3", [*C])
    )
    first, second, best = series.runs
    assert (first.num_scored, first.num_missing, best.num_scored) == (11, 1, 12)
    assert first.best is not None
    assert second.best is not None
    assert second.previous is not None
    assert (first.best.num_pairs, second.best.num_pairs, second.previous.num_pairs) == (11, 11, 10)
    assert series.pairs[0].scores == (None, 6.0, 6.0)
    assert series.pairs[0].statuses == ("missing", "scored", "scored")


def test_a_failed_pair_has_its_status_and_its_reason_and_never_a_zero(tmp_path: Path) -> None:
    rows: list[Row] = [planned("0", "add"), planned("1", "remove"), failed("0", "add"), edited("1", "remove")]
    path = saved_run(tmp_path, [*rows, scored("1", 5.0, "remove")], manifest=manifest_of("t/checkpoint-1"))
    other = checkpoint(tmp_path, "t/checkpoint-2", [6.0, 6.0], stamp="20260101_120000")
    series = read_series([path, other], tmp_path)
    assert series.pairs[0].statuses == ("failed", "scored")
    assert series.pairs[0].scores == (None, 6.0)
    assert series.runs[0].num_failed == 1
    assert [failure.kind for failure in series.runs[0].failures] == ["oom"]


def test_a_run_with_few_scores_is_not_ranked_and_cannot_be_the_best(tmp_path: Path) -> None:
    lucky: list[float | None] = [None] * 12
    lucky[9] = 10.0
    series = series_of(tmp_path, ("t/checkpoint-1", [*A]), ("t/checkpoint-2", [*B]), ("t/checkpoint-3", lucky))
    assert series.ranking == (1, 0, 2)
    assert [run.ranked for run in series.runs] == [True, True, False]
    assert series.runs[2].mean == 10.0


def test_changes_name_the_pairs_that_got_worse_and_better_most(tmp_path: Path) -> None:
    series = series_of(tmp_path, ("t/checkpoint-1", [*A]), ("t/checkpoint-2", [*C]), ("t/checkpoint-3", [*B]))
    assert [(change.earlier, change.later) for change in series.changes] == [(0, 2), (1, 2)]
    change = series.changes[0]
    assert [(pair.pair_id, pair.difference) for pair in change.worse] == [("5", -1.0)]
    assert [pair.pair_id for pair in change.better[:2]] == ["11", "8"], "of equal changes the later pair first"
    assert all(one.difference >= next_.difference for one, next_ in zip(change.better, change.better[1:], strict=False))


def test_the_settings_of_most_runs_are_usual_and_of_two_the_firsts(tmp_path: Path) -> None:
    changed = {"prompts_sha256": "other", "reward_passes": 2}
    paths = [
        checkpoint(
            tmp_path, f"t/checkpoint-{number}", A, stamp=f"20260101_12000{number}", **(changed if number == 1 else {})
        )
        for number in range(3)
    ]
    series = read_series(paths, tmp_path)
    assert [run.judged_alike for run in series.runs] == [True, False, True]
    usual = manifest_of("x")["prompts_sha256"]
    assert series.runs[1].settings == (
        SettingDifference("prompts", "prompts_sha256", '"other"', f'"{usual[:56]}...'),
        SettingDifference("evaluation", "reward_passes", "2", "1"),
    )
    assert [run.judged_alike for run in read_series(paths[:2], tmp_path).runs] == [True, False]


def test_a_run_that_was_judged_otherwise_is_compared_with_no_other(tmp_path: Path) -> None:
    paths = []
    for number, prompts in enumerate(("usual", "other", "usual", "usual")):
        stamp = f"20260101_12000{number}"
        paths.append(checkpoint(tmp_path, f"t/checkpoint-{number}", A, stamp=stamp, prompts_sha256=prompts))
    series = read_series(paths, tmp_path)
    assert series.num_comparisons == 3
    assert (series.runs[1].best, series.runs[1].previous) == (None, None)
    assert series.runs[2].previous is not None
    assert series.runs[2].previous.run == 0, "the odd run is passed over"
    assert series.ranking[-1] == 1


def test_what_no_score_depends_on_is_no_other_judge(tmp_path: Path) -> None:
    judge = manifest_of("x")["reward"]
    faster = judge | {"parameters": judge["parameters"] | {"batch_size": 8}, "load": {"threads_per_worker": 4}}
    other = judge | {"model_name": "another judge"}
    paths = [
        checkpoint(tmp_path, f"t/checkpoint-{number}", A, stamp=f"20260101_12000{number}", reward=reward)
        for number, reward in enumerate((judge, judge, faster, other))
    ]
    runs = read_series(paths, tmp_path).runs
    assert [run.judged_alike for run in runs] == [True, True, True, False]
    assert runs[3].settings == (SettingDifference("judge", "reward.model_name", '"another judge"', '"judge"'),)


def test_runs_without_a_common_pair_are_different_benchmarks(tmp_path: Path) -> None:
    first = checkpoint(tmp_path, "t/checkpoint-1", A, stamp="20260101_120000")
    rows: list[Row] = [planned("0", "add"), edited("0", "add"), scored("0", 5.0, "add")]
    same_name = [msgspec.structs.replace(row, source_sha256="0" * 64) if row is rows[0] else row for row in rows]
    other = saved_run(tmp_path, same_name, stamp="20260101_120001", manifest=manifest_of("t/checkpoint-2"))
    with pytest.raises(DifferentBenchmarkError, match="no pair in common"):
        read_series([first, other], tmp_path)


def test_a_run_in_which_every_pair_failed_is_in_the_series(tmp_path: Path) -> None:
    first = checkpoint(tmp_path, "t/checkpoint-1", A[:2], stamp="20260101_120000")
    rows: list[Row] = [
        row for name, of in (("0", "add"), ("1", "remove")) for row in (planned(name, of), failed(name, of))
    ]
    broken = saved_run(tmp_path, rows, stamp="20260101_120001", manifest=manifest_of("t/checkpoint-2"))
    series = read_series([first, broken], tmp_path)
    run = series.runs[1]
    assert (run.num_scored, run.num_failed, run.mean, run.ranked) == (0, 2, None, False)
    assert run.best is not None
    assert (run.best.num_pairs, run.best.mean_difference, run.best.p_series) == (0, None, None)
    assert series.num_comparisons == 0


def test_one_run_is_a_series(tmp_path: Path) -> None:
    series = series_of(tmp_path, ("t/checkpoint-1", [*A]))
    assert (series.ranking, series.num_comparisons, series.changes) == ((0,), 0, ())
    assert series.runs[0].best is None


def test_pictures_are_named_where_they_lie_if_they_are_there(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "t/checkpoint-1", A[:2], stamp="20260101_120000")
    for name in ("images/0.png", "thumbnails/edit/add/0.jpg", "thumbnails/source/add/0.jpg"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    first, second = read_series([path], tmp_path / "series").pairs
    assert (first.images, first.thumbnails) == (("images/0.png",), ("thumbnails/edit/add/0.jpg",))
    assert first.source == "../runs/20260101_120000/thumbnails/source/add/0.jpg"
    assert (second.images, second.thumbnails, second.source) == ((None,), (None,), None)


def official_run(folder: Path, stamp: str) -> Path:
    manifest = manifest_of(f"t/checkpoint-{stamp[-1]}") | official_rows.manifest()
    return saved_run(folder, official_rows.complete_rows(), stamp=stamp, manifest=manifest)


def test_official_numbers_have_the_intervals_of_the_report_unless_its_numbers_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official_rows.register(monkeypatch)
    paths = [official_run(tmp_path, f"20260101_12000{number}") for number in (1, 2)]
    series = read_series(paths, tmp_path)
    main = series.main
    assert main is not None
    assert (series.protocol, series.scale) == ("example", (0.0, 10.0))
    assert [panel.title for panel in plots(series)["dimensions"]] == ["follows", "keeps", "flaws, lower is better"]
    first = series.runs[0].official
    assert first is not None
    calculated = first.intervals[main]

    write_reports(read_run(paths[0], tmp_path).report(), tmp_path, paths[0], ("mean",))
    file = tmp_path / "evaluation_report_20260101_120001.json"
    report = json.loads(file.read_bytes())
    assert tuple(report["official"]["intervals"][main]) == calculated
    report["official"]["intervals"][main] = [1.0, 2.0]
    file.write_text(json.dumps(report), encoding="utf-8")
    taken = read_series(paths, tmp_path).runs[0].official
    assert taken is not None
    assert taken.intervals[main] == (1.0, 2.0)
    report["official"]["numbers"][main] = 0.5
    file.write_text(json.dumps(report), encoding="utf-8")
    again = read_series(paths, tmp_path).runs[0].official
    assert again is not None
    assert again.intervals[main] == calculated


def test_a_run_by_a_protocol_and_one_by_prompts_are_no_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official_rows.register(monkeypatch)
    paths = [official_run(tmp_path, "20260101_120001"), checkpoint(tmp_path, "t/x", A, stamp="20260101_120002")]
    with pytest.raises(DifferentJudgingError, match="was judged by the protocol example"):
        read_series(paths, tmp_path)
