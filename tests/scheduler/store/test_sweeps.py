"""The folder of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.store.ledger import LedgerBusyError
from scheduler.store.run_names import NoSuchRunError
from scheduler.store.sweeps import SWEEP, SweepDirectory, SweepEntry, find_sweep


def test_what_is_written_is_read_also_where_it_is_no_unicode(tmp_path: Path) -> None:
    directory = SweepDirectory.create(tmp_path)
    entries = [SweepEntry(model="a", run="r", code=2, reason="no \udcff"), SweepEntry(model="b", stages=("edit",))]
    directory.write("now", ["warmbench", "\udcff"], entries)
    directory.close()

    again = SweepDirectory.reopen(tmp_path, "latest")
    assert again.stamp == directory.stamp
    file = again.read()
    assert [entry.model for entry in file.checkpoints] == ["a", "b"]
    assert file.checkpoints[1] == entries[1]
    assert file.checkpoints[0].reason == "no \\udcff"
    again.close()


def test_two_sweeps_of_one_second_have_folders_of_their_own_and_each_one_process(tmp_path: Path) -> None:
    first, second = SweepDirectory.create(tmp_path), SweepDirectory.create(tmp_path)
    assert first.path != second.path
    first.write("now", [], [])
    with pytest.raises(LedgerBusyError):
        SweepDirectory.reopen(tmp_path, first.stamp)
    first.close()
    second.close()


def test_the_latest_is_the_newest_and_others_are_named(tmp_path: Path) -> None:
    for stamp in ("20260101_000000_9", "20260101_000000_10", "20251231_235959", "notes"):
        folder = tmp_path / "sweeps" / stamp
        folder.mkdir(parents=True)
        (folder / SWEEP).touch()
    assert find_sweep(tmp_path, "latest").name == "20260101_000000_10"
    assert find_sweep(tmp_path, "20251231_235959").name == "20251231_235959"
    for name in ("notes", "../runs", "20200101_000000"):
        with pytest.raises(NoSuchRunError, match="there is no sweep"):
            find_sweep(tmp_path, name)
    with pytest.raises(NoSuchRunError, match="can't be read"):
        SweepDirectory.reopen(tmp_path, "latest").read()
