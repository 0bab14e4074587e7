"""Whatever earlier parts of a run have left: what remains is exactly what does not count, and doing it completes it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.run.planner import Remaining
from scheduler.run.unfinished import UnfinishedStages
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, FailedRow, Row, ScoredRow, StageRow
from scheduler.store.run_directory import RunDirectory, thumbnail_path
from tests.scheduler.rows import edited, scored, stage_end
from tests.scheduler.run.parts import (
    Part,
    Settings,
    any_stages,
    assert_only_own_results,
    chosen_settings,
    damage,
    damages,
    report_of,
    steps,
)

TWO_SAMPLES = Expected(samples_per_pair=2)
OTHER_WORDS = Settings(instruction="or not")
ONLY_SCORES = Settings(instruction="or not", expected=Expected(samples_per_pair=2, stages=("score",)))


@pytest.mark.slow
# A sample that nobody asked for while the instruction changed is not judged as an edit of the new one.
@example(
    [(Settings(expected=TWO_SAMPLES), [], "none"), (OTHER_WORDS, [], "none"), (ONLY_SCORES, [], "none")], Settings()
)
@settings(max_examples=150)
@given(st.lists(st.tuples(any_stages, steps, damages), min_size=1, max_size=4), chosen_settings)
def test_a_last_undisturbed_part_completes_the_run_with_its_own_settings_alone(
    history: list[tuple[Settings, list[str], str]], last: Settings
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder))
        for number, (chosen, what, harm) in enumerate(history):
            if number == 0 and not chosen.edits:
                continue  # there is nothing to score yet
            part = Part(directory, chosen, resumed=directory.ledger.stat().st_size > 0)
            part.work(what)
            assert_only_own_results(part)
            damage(directory, harm)
        final = Part(directory, last, resumed=True)
        final.work([])
        assert_only_own_results(final)
        report = report_of(final)
        assert report.status == "COMPLETE", report.failures
        assert len(report.pairs) == last.pairs
        again = Part(directory, last, resumed=True).remaining
        assert (list(again.edits), again.delivered) == ([], [])
        assert all(isinstance(row, StageRow) for row in again.rows)
        directory.close()


@settings(max_examples=100)
@given(any_stages.filter(lambda chosen: chosen.edits), steps, damages, any_stages)
def test_one_stage_alone_does_all_that_it_can_and_fails_nothing(
    first: Settings, what: list[str], harm: str, second: Settings
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder))
        Part(directory, first, resumed=False).work(what)
        damage(directory, harm)
        part = Part(directory, second, resumed=True)
        part.work([])
        assert_only_own_results(part)
        before = {row.pair_id for row in part.rows() if isinstance(row, FailedRow) and row.kind != "outdated"}
        for pair in report_of(part).pairs:
            if second.edits:
                done = {"scored"} if second.scores else {"scored", "edited"}
            else:
                done = {"scored", "missing"}
                assert not part.remaining.edits
            assert pair.status in done or (pair.status == "failed" and pair.pair_id in before and not second.edits)
        directory.close()


@pytest.mark.parametrize("harm", ["image gone", "image swapped"])
def test_who_only_scores_takes_an_edit_whose_file_has_come_back(tmp_path: Path, harm: str) -> None:
    directory = RunDirectory.create(tmp_path)
    Part(directory, Settings(expected=Expected(stages=("edit",))), resumed=False).work([])
    (image, *_) = sorted((directory.path / "images").rglob("*.png"))
    content = image.read_bytes()
    damage(directory, harm)
    only_scores = Settings(expected=Expected(stages=("score",)))
    without = Part(directory, only_scores, resumed=True)
    without.work([])
    assert (without.remaining.missing.total(), without.remaining.stale) == (1, [])
    assert [pair.status for pair in report_of(without).pairs] == ["missing", "scored", "scored"]
    image.write_bytes(content)
    final = Part(directory, only_scores, resumed=True)
    final.work([])
    assert report_of(final).status == "COMPLETE"
    directory.close()


def test_thumbnails_of_what_is_another_source_or_edit_now_are_stale(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    Part(directory, Settings(), resumed=False).work([])
    assert Part(directory, Settings(), resumed=True).remaining.stale == []
    changed = Part(directory, replace(Settings(), steps=2, sources="other "), resumed=True).remaining.stale
    assert changed == [thumbnail_path(directory.path, "c", str(one), what) for one in range(3) for what in (None, 0)]
    directory.close()


@settings(max_examples=50)
@given(chosen_settings, st.lists(steps, min_size=1, max_size=4))
def test_without_changes_or_damage_nothing_is_done_twice(chosen: Settings, parts: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder))
        for number, what in enumerate([*parts, []]):
            final = Part(directory, chosen, resumed=number > 0)
            final.work(what)
        results = [
            (type(row), row.pair_id, row.sample, getattr(row, "pass_", None))
            for row in final.rows()
            if isinstance(row, EditedRow | ScoredRow)
        ]
        edits = [result for result in results if result[0] is EditedRow]
        assert len(edits) == len(set(edits))
        scores = [result for result in results if result[0] is ScoredRow]
        assert len(scores) == len(set(scores))
        directory.close()


def test_the_stages_of_a_part_that_was_killed_are_told_by_its_results() -> None:
    stages = UnfinishedStages()
    rows: list[Row] = [
        edited("1"),
        scored("1", 3.0),
        stage_end("edit", wall=9.0, device=9.0, workers=1),
        scored("2", 3.0),
        scored("3", 3.0, started=201.0, finished=202.0),
    ]
    assert list(stages.pass_on(rows)) == rows
    (row,) = stages.rows()
    assert isinstance(row, StageRow)
    assert (row.stage, row.workers, row.device_seconds, row.wall_seconds) == ("score", 1, 1.5, 2.0)


def test_remaining_is_empty_by_default() -> None:
    assert list(Remaining().edits) == []
