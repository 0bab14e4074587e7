"""What a run takes over from others: whatever is what it would make itself, and nothing else."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from protocol.messages import Usage
from scheduler.base.files import take_file
from scheduler.benchmark.units import EditUnit
from scheduler.report.build import build_report
from scheduler.run.planner import GONE_THERE, NEW, WRONG_THERE, Remaining
from scheduler.run.resume_summary import reuse_lines
from scheduler.run.reuse import OtherRun
from scheduler.run.unfinished import UnfinishedStages
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, Row, ScoredRow, StageRow
from scheduler.store.run_directory import RunDirectory, thumbnail_path
from tests.scheduler.rows import edited, scored
from tests.scheduler.run.parts import Part, Settings, assert_only_own_results, damage, damages, report_of, settings_for
from tests.scheduler.run.parts import steps as some_steps

BASE = Settings()
GONE = replace(BASE, keep_images=False)


def begin(folder: Path, chosen: Settings, *others: Part) -> Part:
    """A new run, as far as its plan."""
    directory = RunDirectory.create(folder)
    Part(directory, chosen, resumed=False)
    return Part(directory, chosen, resumed=True, reuse=others)


def made(folder: Path, chosen: Settings = BASE, *what: str) -> Part:
    part = begin(folder, chosen)
    part.work(what)
    return part


@pytest.mark.parametrize(
    ("first", "second", "edits", "scores"),
    [
        (BASE, BASE, 0, 0),
        (BASE, replace(BASE, reward="S"), 0, 3),
        (BASE, replace(BASE, question="W"), 0, 3),
        (BASE, replace(BASE, editor="F"), 3, 3),
        (BASE, replace(BASE, steps=2), 3, 3),
        (BASE, replace(BASE, sources="other "), 3, 3),
        (BASE, replace(BASE, instruction="or not"), 3, 3),
        (BASE, replace(BASE, pairs=2), 0, 0),
        (BASE, replace(BASE, pairs=5), 2, 2),
        (BASE, replace(BASE, expected=Expected(samples_per_pair=2)), 3, 3),
        (BASE, replace(BASE, expected=Expected(reward_passes=2)), 0, 3),
        (BASE, replace(BASE, expected=Expected(stages=("edit",))), 0, 0),
        (replace(BASE, expected=Expected(stages=("edit",))), BASE, 0, 3),
        (replace(BASE, expected=Expected(samples_per_pair=2, reward_passes=2)), BASE, 0, 0),
        # Images that are gone: nobody needs that of an edit with all of its scores.
        (GONE, GONE, 0, 0),
        (BASE, GONE, 0, 0),
        (GONE, replace(GONE, reward="S"), 3, 3),
        (GONE, BASE, 3, 3),
    ],
)
def test_what_is_left_to_be_done(tmp_path: Path, first: Settings, second: Settings, edits: int, scores: int) -> None:
    run = begin(tmp_path, second, made(tmp_path, first))
    left = run.remaining
    assert (len(left.edits), left.score_reasons.total() if second.scores else 0) == (edits, scores)
    run.work([])
    assert_only_own_results(run)
    assert report_of(run).status == "COMPLETE"
    assert_nothing_left(run)


@pytest.mark.parametrize(("harm", "reason"), [("image gone", GONE_THERE), ("image swapped", WRONG_THERE)])
def test_an_edit_whose_image_is_not_there_is_made_again_and_keeps_its_scores_if_it_is_the_same(
    tmp_path: Path, harm: str, reason: str
) -> None:
    other = made(tmp_path)
    damage(other.directory, harm)
    run = begin(tmp_path, BASE, other)
    name = other.directory.stamp
    assert [unit.pair_id for unit in run.remaining.edits] == ["0"]
    assert run.remaining.edit_reasons == {reason: 1}
    assert (run.remaining.taken_edits, run.remaining.taken_scores) == ({name: 2}, {name: 3})
    run.work([])
    assert report_of(run).status == "COMPLETE"
    assert sum(isinstance(row, ScoredRow) and row.reused_from is UNSET for row in run.rows()) == 0
    assert_only_own_results(run)


def test_an_image_of_another_run_that_cannot_be_read_is_missing(tmp_path: Path) -> None:
    other = made(tmp_path)
    (image, *_) = sorted((other.directory.path / "images").rglob("*.png"))
    image.unlink()
    image.mkdir()
    assert begin(tmp_path, BASE, other).remaining.edit_reasons == {GONE_THERE: 1}


def test_scores_of_an_image_that_is_gone_do_not_count_for_an_edit_of_other_bytes(tmp_path: Path) -> None:
    other = made(tmp_path)
    damage(other.directory, "image gone")
    run = begin(tmp_path, BASE, other)
    (unit,) = run.remaining.edits
    run.write([edited("0", "c", identity=run.task.edit_identity(unit, "E"), sha256="f" * 64)])
    (pair, *_) = report_of(run).pairs
    assert (pair.pair_id, pair.status) == ("0", "missing")


def test_the_log_says_what_came_from_which_run_or_how_that_differs(tmp_path: Path) -> None:
    other = made(tmp_path)
    run = begin(tmp_path, BASE, other)
    runs = [
        OtherRun(stamp, tmp_path, title, {"data": {"sha256": "a"}}, Expected(), lambda: iter(()))
        for stamp, title in ((other.directory.stamp, "the first"), *((f"2026112{day}_0", "\n") for day in range(4)))
    ]
    manifest = {"data": {"sha256": "b"}}
    first, *others = runs
    assert list(reuse_lines(run.remaining, runs, manifest)) == [f"Taken over from {first.name}: 3 edits, 3 scores"]
    lines = list(reuse_lines(Remaining(), others, manifest))
    assert lines[:2] == ["Nothing was taken over from run 20261120_0 (\\n)", '  changed: data "a" -> "b"']
    assert lines[-1] == "... nor from 1 more run"


@pytest.mark.parametrize(
    ("manifest", "editor", "read"),
    [
        ({}, "E", True),
        ({"workers": [{"role": "editor", "fingerprint": "E"}]}, "E", True),
        ({"workers": [{"role": "editor", "fingerprint": "F"}]}, "E", False),
        ({"workers": [{"role": "editor", "fingerprint": "F"}]}, None, True),
        ({"workers": [{"role": "reward", "fingerprint": "F"}]}, "E", True),
        (
            {
                "workers": [{"role": "editor", "fingerprint": "F"}],
                "earlier_parts": [{"workers": [{"role": "editor", "fingerprint": "E"}]}],
            },
            "E",
            True,
        ),
    ],
)
def test_a_run_of_other_editors_alone_is_not_read(
    tmp_path: Path, manifest: dict[str, Any], editor: str | None, read: bool
) -> None:
    run = OtherRun("1", tmp_path, "1", manifest, Expected(), lambda: iter(()))
    assert run.may_have_edits_of(editor) == read


def test_of_two_runs_the_first_whose_image_is_there_gives_it(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    damage(first.directory, "image gone")
    run = begin(tmp_path, BASE, first, second)
    assert run.remaining.taken_edits == {first.directory.stamp: 2, second.directory.stamp: 1}
    assert not run.remaining.edits


def test_no_failure_of_another_run_is_taken_over(tmp_path: Path) -> None:
    other = made(tmp_path, BASE, "edit fails", "score fails", "done")
    run = begin(tmp_path, BASE, other)
    assert [unit.pair_id for unit in run.remaining.edits] == ["0"]
    assert [unit.pair_id for unit, _ in run.remaining.delivered] == ["1"]
    run.work([])
    assert report_of(run).status == "COMPLETE"


def test_a_row_says_from_which_run_it_comes_and_keeps_its_times(tmp_path: Path) -> None:
    other = made(tmp_path)
    rows = other.rows()
    run = begin(tmp_path, BASE, other)
    (first,) = [row for row in rows if isinstance(row, EditedRow) and row.pair_id == "0"]
    (offered,) = run.remaining.taken_edits
    taken = next(row for row in run.rows() if isinstance(row, EditedRow))
    assert (taken.reused_from, taken.identity, taken.started) == (offered, first.identity, first.started)
    assert taken.round is None
    assert first.reused_from is UNSET


def test_a_resumed_run_takes_over_what_it_lacks_and_keeps_its_own(tmp_path: Path) -> None:
    other = made(tmp_path, replace(BASE, reward="S"))
    run = made(tmp_path, BASE, "done", "killed")
    resumed = Part(run.directory, replace(BASE, reward="S"), resumed=True, reuse=[other])
    assert not resumed.remaining.edits
    assert not resumed.remaining.delivered
    assert resumed.remaining.taken_edits == {other.directory.stamp: 2}
    assert resumed.remaining.taken_scores == {other.directory.stamp: 3}
    assert_only_own_results(resumed)
    assert report_of(resumed).status == "COMPLETE"


def test_an_own_edit_of_other_settings_is_replaced_with_its_image_and_thumbnail(tmp_path: Path) -> None:
    chosen = replace(BASE, steps=2)
    other, run = made(tmp_path, chosen), made(tmp_path)
    thumbnails = [
        Path(thumbnail_path(part.directory.path, "c", number, 0))
        for part, number in ((run, "0"), (run, "1"), (other, "1"))
    ]
    for number, path in enumerate(thumbnails):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]))
    resumed = Part(run.directory, chosen, resumed=True, reuse=[other])
    assert not resumed.remaining.edits
    assert_only_own_results(resumed)
    for row in resumed.rows():
        if isinstance(row, EditedRow) and row.reused_from is not UNSET:
            image = (run.directory.path / row.image).read_bytes()
            assert hashlib.sha256(image).hexdigest() == row.sha256
    assert not thumbnails[0].exists(), "it showed the edit that was replaced"
    assert thumbnails[1].read_bytes() == thumbnails[2].read_bytes()


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(st.tuples(settings_for(("edit", "score"), ("edit",)), some_steps, damages), min_size=1, max_size=3),
    settings_for(("edit", "score"), ("edit",)),
    some_steps,
)
def test_whatever_other_runs_have_a_run_is_complete_with_its_own_identities_alone(
    histories: list[tuple[Settings, list[str], str]], chosen: Settings, what: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        others = []
        for history, steps, harm in histories:
            others.append(made(Path(folder), history, *steps))
            damage(others[-1].directory, harm)
        before = _contents(others)
        run = begin(Path(folder), chosen, *others)
        run.work(what)
        assert_only_own_results(run)
        final = Part(run.directory, chosen, resumed=True, reuse=others)
        final.work([])
        assert_only_own_results(final)
        assert report_of(final).status == "COMPLETE"
        assert_nothing_left(final)
        assert _contents(others) == before, "another run is only read"
        assert not any(row.reused_from == run.directory.stamp for row in final.rows() if isinstance(row, ScoredRow))
        for part in (*others, run):
            part.directory.close()


def test_the_report_counts_what_it_shows_of_other_runs_and_none_of_their_requests_and_times() -> None:
    usage = Usage(requests=3, prompt_tokens=10)
    rows: list[Row] = [
        structs.replace(edited("1"), reused_from="20261121_091500"),
        structs.replace(scored("1", 4.0), reused_from="20261121_091500", usage=usage),
        edited("2"),
        structs.replace(scored("2", 4.0), usage=structs.replace(usage, requests=2)),
    ]
    stages = UnfinishedStages()
    assert list(stages.pass_on(rows)) == rows
    assert [(row.stage, row.workers, row.device_seconds) for row in stages.rows()] == [
        ("edit", 1, 1.5),
        ("score", 1, 0.5),
    ]
    manifest = {"notes": ["first"], "reused_from": {"20261121_091500": {"title": "out/checkpoint-900"}}}
    report = build_report(rows, manifest=manifest, expected=Expected())
    assert report.performance.judge is not None
    assert report.performance.judge.requests == 2
    taken = "Taken over from run 20261121_091500 (out/checkpoint-900): 1 edit and 1 score."
    assert report.notes == ("first", taken)


def test_a_file_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "new" / "b"
    assert not take_file(str(source), str(target))
    source.write_bytes(b"1")
    assert take_file(str(source), str(target))
    assert take_file(str(source), str(target)), "also a second time"
    assert target.read_bytes() == b"1"
    assert target.stat().st_nlink == 2
    assert [path.name for path in target.parent.iterdir()] == ["b"]
    source.unlink()
    source.write_bytes(b"2")
    assert take_file(str(source), str(target))
    assert target.read_bytes() == b"2"


def assert_nothing_left(part: Part) -> None:
    again = Part(part.directory, part.chosen, resumed=True).remaining
    assert not list(again.edits)
    assert all(isinstance(row, StageRow) for row in again.rows)
    assert not (again.delivered and part.chosen.scores)


def _contents(parts: list[Part]) -> dict[str, bytes]:
    files = (path for part in parts for path in part.directory.path.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def test_units_of_another_benchmark_are_never_asked_for(tmp_path: Path) -> None:
    run = begin(tmp_path, replace(BASE, sources="x"), made(tmp_path))
    assert set(run.remaining.edits) == {EditUnit("c", str(number)) for number in range(3)}
    assert run.remaining.edit_reasons == {NEW: 3}
