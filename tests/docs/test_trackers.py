"""The tracker of ``docs/trackers.md`` is taken out of that document and used; what it says is sent, is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scheduler.report.tracked import tracked_run
from scheduler.trackers.declaration import TrackerType
from tests.docs.markdown import ROOT, fences, read
from tests.scheduler.rows import edited, planned, report_of, scored

DOCUMENT = read(ROOT / "docs" / "trackers.md")
OPTIONS = {"name": None, "prefix": "eval", "images": 0}


def test_the_tracker_of_the_document_works(tmp_path: Path) -> None:
    (code,) = fences(DOCUMENT, "python")
    module: dict[str, Any] = {}
    exec(code, module)  # noqa: S102 - it is ours
    tracker = module["TRACKER"]
    assert isinstance(tracker, TrackerType)
    report = report_of([planned("1"), edited("1"), scored("1", 7.5)], manifest={"name": "mine"})
    run = tracked_run(report, tmp_path / "runs" / "1", tmp_path, OPTIONS)
    file = tmp_path / "results.txt"
    assert tracker.send(run, {"file": str(file)}) == str(file)
    assert file.read_text(encoding="utf-8") == "mine None 7.5\n"
    assert (tracker.keys[0].name, tracker.keys[0].default) == ("file", "results.txt")


def test_the_numbers_of_the_document_are_sent(tmp_path: Path) -> None:
    rows = [row for name in "12" for row in (planned(name), edited(name), scored(name, 7.5, aspects={"a": 1.0}))]
    numbers = tracked_run(report_of(rows), tmp_path / "runs" / "1", tmp_path, OPTIONS).numbers
    first = DOCUMENT.split("| --- | --- |")[1].split("\n\n")[0]
    named = set(re.findall(r"`eval/([a-z0-9_]+)`", first))
    assert named - {"official_comparable"} == {name for name in numbers if "/" not in name}
    assert {name.split("/")[0] for name in numbers if "/" in name} | {"official"} == set(
        re.findall(r"`eval/([a-z]+)/", first)
    ) - ({"performance"} - {name.split("/")[0] for name in numbers})
