"""Running and finished runs of the bench, and their output."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.place import PlaceError

_TAIL_LINES = 15


class BenchError(PlaceError):
    """A run failed, so there is nothing to measure."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run. ``launched`` is when its process was started, in epoch seconds."""

    launched: float
    folder: Path
    report: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def of(self, event: str) -> list[Mapping[str, Any]]:
        """The ledger's rows of this event."""
        return [row for row in self.rows if row["event"] == event]


@dataclass(frozen=True)
class ActiveRun:
    """A running run, with its own output folder."""

    launched: float
    output: Path
    arguments: Sequence[str]
    process: subprocess.Popen[bytes]
    log: Path

    def rows(self) -> list[Mapping[str, Any]]:
        """The rows in its ledger so far."""
        for ledger in self.output.glob("runs/*/results.jsonl"):
            lines = ledger.read_text(encoding="utf-8").splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        return []

    def finish(self) -> FinishedRun:
        """Wait for its end.

        Raises:
            BenchError: its exit code is not 0.
        """
        self.wait()
        return read_finished_run(self.output, self.launched)

    def wait(self) -> None:
        """Wait for its end, without reading its output.

        Raises:
            BenchError: its exit code is not 0.
        """
        wait_for(self.process, self.arguments, self.log)


def wait_for(process: subprocess.Popen[bytes], arguments: Sequence[str], log: Path) -> None:
    """Wait for a program's end.

    Raises:
        BenchError: its exit code is not 0; with the last lines of its output.
    """
    with process:
        process.wait()
    if process.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
        raise BenchError(f"`python {' '.join(arguments)}` ended with exit code {process.returncode}:\n{end}")


def read_finished_run(output: Path, launched: float) -> FinishedRun:
    """The only run in this output folder."""
    (folder,) = (output / "runs").iterdir()
    (report,) = output.glob("evaluation_report_*.json")
    return FinishedRun(launched, folder, json.loads(report.read_text(encoding="utf-8")), read_rows(folder))


def read_rows(run: Path) -> list[Mapping[str, Any]]:
    """The ledger of the run in this folder."""
    return [json.loads(line) for line in (run / "results.jsonl").read_text(encoding="utf-8").splitlines()]
