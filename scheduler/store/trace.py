"""``--trace``: the run as a timeline, ``trace.json`` in the run's folder, for Perfetto or ``chrome://tracing``.

There is a track for each device (jobs, waits at barriers; several tracks for requests in flight together), for each
codec thread of a worker, for the rounds and for writes to disk. The format is Chrome's Trace Event Format as a JSON
array: complete events (``X``) with times in microseconds. A killed run leaves a file without its last bracket, which
both viewers open.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from protocol.messages import CodecSpan

log = logging.getLogger("warmbench")

ROUNDS, DISK = "scheduler: rounds", "scheduler: disk"
_PROCESS = 1


class Trace:
    """Writes the file. Times are epoch seconds. May be used from several threads.

    A run does not fail because of its timeline: if writing fails, that is logged and the timeline ends.
    """

    def __init__(self, path: Path) -> None:
        """Create the file; that of an earlier part of the run is replaced."""
        self._file = path.open("w", encoding="utf-8")
        self._broken = False
        self._lock = threading.Lock()
        self._tracks: dict[str, int] = {}
        self._latest: dict[str, list[tuple[float, float]]] = {}
        self._file.write("[\n")
        self._write({"ph": "M", "pid": _PROCESS, "name": "process_name", "args": {"name": "warmbench"}})

    def device(
        self, worker: str, device: str, job: str, started: float, finished: float, details: Mapping[str, Any]
    ) -> None:
        """Record that a device was busy with this job. Where jobs overlap, the device has several tracks."""
        track = f"{worker} ({device})"
        with self._lock:
            latest = self._latest.setdefault(track, [])
            free = (number for number, (start, end) in enumerate(latest) if end <= started or finished <= start)
            lane = next(free, len(latest))
            latest[lane : lane + 1] = [(started, finished)]
        self.span(f"{track} {lane + 1}" if lane else track, job, started, finished, details)

    def codecs(self, worker: str, job: str, spans: Iterable[CodecSpan]) -> None:
        """Record what a worker's codec threads did for a job."""
        for span in spans:
            self.span(f"{worker} codec thread {span.thread}", f"{span.what} {job}", span.started, span.finished)

    def barrier(self, number: int, arrived: Mapping[str, tuple[str, float]], released: float) -> None:
        """Record the end of a round; ``arrived`` has each editor's device and when it was at the barrier."""
        for worker, (device, since) in arrived.items():
            self.span(f"{worker} ({device})", "barrier", since, released, {"round": number + 1})
        if arrived:
            self.span(ROUNDS, f"barrier {number + 1}", min(since for _, since in arrived.values()), released)

    def span(
        self, track: str, name: str, started: float, finished: float, details: Mapping[str, Any] | None = None
    ) -> None:
        """Record a span of time; viewers show its ``details``."""
        with self._lock:
            event = {
                "ph": "X",
                "pid": _PROCESS,
                "tid": self._track(track),
                "name": name,
                "ts": started * 1e6,
                "dur": max(0.0, finished - started) * 1e6,
                "args": details or {},
            }
            self._write(event)

    def close(self) -> None:
        """Complete the file."""
        with self._lock:
            # Every event is followed by a comma, so the last one is written here.
            self._write({"ph": "M", "pid": _PROCESS, "name": "process_labels", "args": {"labels": "ended"}}, "\n]\n")
            try:
                self._file.close()
            except OSError as error:
                log.error("The trace is incomplete: %s", error)

    def _track(self, name: str) -> int:
        if name not in self._tracks:
            self._tracks[name] = len(self._tracks) + 1
            of_thread = {"ph": "M", "pid": _PROCESS, "tid": self._tracks[name]}
            self._write({**of_thread, "name": "thread_name", "args": {"name": name}})
        return self._tracks[name]

    def _write(self, event: Mapping[str, Any], end: str = ",\n") -> None:
        if self._broken:
            return
        try:
            self._file.write(json.dumps(event, separators=(",", ":")) + end)
        except OSError as error:
            self._broken = True
            log.error("The trace ends here: %s", error)
