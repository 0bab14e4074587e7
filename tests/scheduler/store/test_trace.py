"""The timeline has the format of Chrome's viewers, and its failure never fails a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from protocol.messages import CodecSpan
from scheduler.store.trace import DISK, Trace


def events(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_devices_codec_threads_barriers_and_the_disk_have_their_tracks(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.json")
    trace.device("editor-0", "cuda:0", "物理/1/0", 100.0, 101.5, {"round": 0})
    trace.codecs("editor-0", "物理/1/0", [CodecSpan(what="encode", thread=1, started=101.5, finished=101.6)])
    trace.barrier(0, {"editor-0": ("cuda:0", 101.5)}, 102.0)
    trace.span(DISK, "write", 102.0, 102.1)
    trace.close()

    entries = events(tmp_path / "trace.json")
    names = {event["tid"]: event["args"]["name"] for event in entries if event["name"] == "thread_name"}
    spans = [(names[event["tid"]], event["name"], event["ts"], event["dur"]) for event in entries if event["ph"] == "X"]
    assert spans[0] == ("editor-0 (cuda:0)", "物理/1/0", 100.0e6, 1.5e6)
    assert [span[:2] for span in spans[1:]] == [
        ("editor-0 codec thread 1", "encode 物理/1/0"),
        ("editor-0 (cuda:0)", "barrier"),
        ("scheduler: rounds", "barrier 1"),
        ("scheduler: disk", "write"),
    ]


def test_requests_in_flight_together_are_on_tracks_of_their_own(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.json")
    for name, started, finished in (("1", 1.0, 2.0), ("2", 1.5, 2.5), ("4", 2.5, 3.0), ("3", 2.1, 3.1)):
        trace.device("reward-0", "cpu", name, started, finished, {})
    trace.close()
    entries = events(tmp_path / "trace.json")
    names = {event["tid"]: event["args"]["name"] for event in entries if event["name"] == "thread_name"}
    spans = [(names[event["tid"]], event["name"]) for event in entries if event["ph"] == "X"]
    assert spans == [
        ("reward-0 (cpu)", "1"),
        ("reward-0 (cpu) 2", "2"),
        ("reward-0 (cpu)", "4"),
        ("reward-0 (cpu) 3", "3"),
    ]


def test_a_run_that_was_killed_leaves_all_but_the_last_bracket(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.json")
    trace.span("a", "b", 1.0, 2.0)
    trace._file.flush()
    text = (tmp_path / "trace.json").read_text(encoding="utf-8")
    assert json.loads(text.removesuffix(",\n") + "]")[-1]["name"] == "b"
    trace.close()


def test_a_full_disk_ends_the_trace_and_nothing_else() -> None:
    trace = Trace(Path("/dev/full"))
    for number in range(10_000):
        trace.span("a", f"span {number}", 1.0, 2.0)
    trace.close()
