"""The folder of a watch: one for each watched folder, of one process at a time, and never half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.store.ledger import LedgerBusyError
from scheduler.store.watches import WATCH, UnreadableWatchError, WatchDirectory, WatchEntry


def test_what_was_written_is_read_again_with_what_had_other_settings(tmp_path: Path) -> None:
    directory = WatchDirectory(tmp_path / "outputs", tmp_path / "out")
    assert directory.read() == []
    entry = WatchEntry(path="step-1", step=1, version="a", settings="s", run="20260101_000000", code=0)
    other = WatchEntry(path="step-1", step=1, version="a", settings="t", code=2, reason="it lacks a file")
    directory.write(["warmbench", "watch"], [entry], [other])
    assert directory.read() == [entry, other]


def test_names_that_are_no_unicode_can_be_written(tmp_path: Path) -> None:
    directory = WatchDirectory(tmp_path, tmp_path / "o\udcffut")
    directory.write(["w\udcff"], [WatchEntry(path="s\udcff-1", step=1, version="a", settings="s", reason="\udcff")])
    assert directory.read()[0].path == "s\\udcff-1"


def test_a_second_process_is_refused_by_name_and_other_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    first = WatchDirectory(tmp_path / "outputs", tmp_path / "out")
    with pytest.raises(LedgerBusyError, match=f"another process watches {tmp_path / 'out'} already"):
        WatchDirectory(tmp_path / "outputs", tmp_path / "link")
    others = [
        WatchDirectory(tmp_path / "outputs", tmp_path / "b" / "out"),
        WatchDirectory(tmp_path / "else", tmp_path / "out"),
    ]
    assert len({first.path, *(other.path for other in others)}) == 3
    first.close()
    WatchDirectory(tmp_path / "outputs", tmp_path / "out")


def test_a_file_that_is_no_list_of_checkpoints_is_refused_with_what_it_would_mean(tmp_path: Path) -> None:
    directory = WatchDirectory(tmp_path, tmp_path / "out")
    for content in ("", '{"checkpoints": [{"path": 1}]}', "[" * 10_000):
        (directory.path / WATCH).write_text(content)
        with pytest.raises(UnreadableWatchError, match="every checkpoint is evaluated again"):
            directory.read()
