"""Runs are found by what users call them, and reading one disturbs no other process."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.base.files import read_json
from scheduler.store.ledger import LedgerBusyError, is_written
from scheduler.store.run_directory import RunDirectory, reports_locked, thumbnail_path
from scheduler.store.run_names import NoSuchRunError, locate_run
from tests.scheduler.saved import saved_run
from tests.waiting import wait_until

OLD, NEW, NEWEST = "20251023_230000", "20251024_010000", "20251024_010000_2"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``outputs`` of the working directory, with three runs."""
    monkeypatch.chdir(tmp_path)
    for stamp in (OLD, NEWEST, NEW):
        saved_run(tmp_path / "outputs", [], stamp=stamp)
    return Path("outputs")


@pytest.mark.parametrize(
    ("named", "path"),
    [
        (OLD, f"outputs/runs/{OLD}"),
        ("latest", f"outputs/runs/{NEWEST}"),
        (f"outputs/runs/{OLD}", f"outputs/runs/{OLD}"),
        (f"./outputs/runs/{OLD}/", f"outputs/runs/{OLD}"),
    ],
)
def test_a_run_is_named_by_its_id_by_latest_or_by_its_path(output: Path, named: str, path: str) -> None:
    assert locate_run(named, output) == Path(path)


def test_from_within_its_folder_a_run_is_a_dot_or_its_name(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output / "runs")
    assert locate_run(OLD, output).samefile(OLD)
    monkeypatch.chdir(OLD)
    assert locate_run(".", output).samefile(".")


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("20251023_23000", OLD),
        (f"outputs/runs/{OLD}9", f"outputs/runs/{OLD}"),
        ("outputs", f"outputs/runs/{NEWEST}"),
        ("./outputs/", f"outputs/runs/{NEWEST}"),
        ("nothing/like/it", "no ledger"),
    ],
)
def test_the_error_for_an_unknown_run_names_the_nearest(output: Path, named: str, hint: str) -> None:
    with pytest.raises(NoSuchRunError, match=hint):
        locate_run(named, output)


def test_without_any_run_there_is_no_latest(tmp_path: Path) -> None:
    (tmp_path / "runs" / NEW).mkdir(parents=True)
    with pytest.raises(NoSuchRunError, match="there is no run in"):
        locate_run("latest", tmp_path)


def test_the_latest_run_is_the_one_that_began_last_by_its_manifest_whatever_its_name(tmp_path: Path) -> None:
    starts = {NEWEST: "2025-10-23T10:00:00+0800", OLD: "2025-10-23T10:00:00+0100", NEW: "no time"}
    for stamp, started in starts.items():
        saved_run(tmp_path, [], stamp=stamp, manifest={"started": started})
    moved = saved_run(tmp_path, [], stamp="20200101_000000", manifest={"started": "2025-10-25T12:00:00+0000"})
    assert locate_run("latest", tmp_path) == moved
    shutil.rmtree(moved)
    assert locate_run("latest", tmp_path).name == NEW, "without a start its name counts"
    shutil.rmtree(tmp_path / "runs" / NEW)
    assert locate_run("latest", tmp_path).name == OLD, "the name of the other is later, its start is earlier"


def test_text_that_is_not_unicode_is_recorded(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    directory.write_json("manifest.json", {"config_file": "\udcff.yaml", "名": "值"})
    assert read_json(directory.path / "manifest.json") == {"config_file": "\udcff.yaml", "名": "值"}
    directory.close()


def test_a_ledger_counts_as_written_while_its_run_has_the_lock(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    assert is_written(directory.ledger) is True
    with pytest.raises(LedgerBusyError):
        RunDirectory.reopen(tmp_path, None, "latest")
    directory.close()
    assert is_written(directory.ledger) is False
    RunDirectory.reopen(tmp_path, None, "latest").close()


def test_a_run_can_lock_its_ledger_while_another_process_checks_the_lock(tmp_path: Path) -> None:
    ledger = saved_run(tmp_path, []) / "results.jsonl"
    looking = os.open(ledger, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    taken: list[RunDirectory] = []
    thread = threading.Thread(target=lambda: taken.append(RunDirectory.reopen(tmp_path, None, "latest")))
    thread.start()
    os.close(looking)
    thread.join(timeout=30)
    assert is_written(ledger) is True
    taken[0].close()


def _look(ledger: Path, over: Callable[[], bool], started: Callable[[], None]) -> None:
    started()
    while not over():
        is_written(ledger)


def test_a_run_can_be_resumed_however_often_its_lock_is_checked(tmp_path: Path) -> None:
    ledger = saved_run(tmp_path, []) / "results.jsonl"
    context = multiprocessing.get_context("spawn")
    over, started = context.Event(), context.Event()
    process = context.Process(target=_look, args=(ledger, over.is_set, started.set))
    process.start()
    try:
        wait_until(started.is_set)
        for _ in range(2000):
            RunDirectory.reopen(tmp_path, None, "latest").close()
    finally:
        over.set()
        process.join(timeout=30)
    assert process.exitcode == 0


def test_the_second_writer_of_reports_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with reports_locked(tmp_path, patient=False):
            order.append("second")

    thread = threading.Thread(target=second)
    with reports_locked(tmp_path, patient=True):
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]


def test_a_run_does_not_wait_for_ever_for_another_writer_of_its_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.store.run_directory._PATIENCE_SECONDS", 0.1)
    with reports_locked(tmp_path, patient=True), reports_locked(tmp_path, patient=False):
        pass


def test_thumbnails_have_folders_by_what_they_show_and_never_lie_outside_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, image_output_dir=tmp_path / "elsewhere")
    folder = f"{tmp_path}/thumbnails"
    assert thumbnail_path(run.path, "物理", "1", None) == f"{folder}/source/物理/1.jpg"
    assert thumbnail_path(run.path, "物理", "1", "ground_truth") == f"{folder}/ground_truth/物理/1.jpg"
    assert thumbnail_path(run.path, "物理", "1", 0) == f"{folder}/edit/物理/1.jpg"
    assert thumbnail_path(run.path, "物理", "1", 2) == f"{folder}/edit-sample-2/物理/1.jpg"
    for wrong in ("..", "a/b", "", "\0"):
        with pytest.raises(ValueError, match="cannot be a file name"):
            thumbnail_path(run.path, "物理", wrong, 0)
    run.close()
