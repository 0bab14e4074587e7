"""``warmbench status``: the progress of a run, from its files alone: as text, or as JSON for programs."""

from __future__ import annotations

import argparse
import glob
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len

from scheduler.base.text import counted, encodable, format_duration, one_line
from scheduler.commands.named_runs import RUN, add_output_dir, with_runs
from scheduler.report.figures import score_text
from scheduler.report.model import Group
from scheduler.report.saved_run import SavedRun
from scheduler.run.options import resume_command
from scheduler.run.status import RunStatus, StageProgress, State, run_status
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, Row, ScoredRow, StageRow
from scheduler.terminal.snapshot import place_of

_LONGEST_NAME = 40
_LONGEST_MESSAGE = 200
_STATES: dict[State, str] = {
    "running": "running",
    "finished": "finished",
    "stopped": "not running, and not finished",
    "unknown": "unknown: this file system does not show whether a process works on it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Shows the progress of a run, whether or not it is still running, from its files alone."
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help=f"{RUN} (the default)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    add_output_dir(parser, writes=False)


def execute(options: argparse.Namespace) -> int:
    def show(runs: list[SavedRun]) -> int:
        status = look_at(runs[0])
        lines = [status_json(runs[0], status)] if options.json else status_lines(runs[0], status)
        print(*lines, sep="\n", flush=True)
        return 0

    return with_runs(options, show)


def look_at(run: SavedRun) -> RunStatus:
    """Return the run's status, now.

    Raises:
        OSError: the ledger cannot be read.
    """
    # Before the rows are read: a run that ends in between is shown as running, not as unfinished.
    running = run.is_running()
    return run_status(run.rows(), manifest=run.manifest, expected=run.expected, running=running, now=time.time())


def status_lines(run: SavedRun, status: RunStatus) -> Iterator[str]:
    """Return the status as text."""
    started = run.manifest.get("started")
    yield f"Run {one_line(run.path)}: {_STATES[status.state]}" + (
        f"; started {one_line(started, 40)}" if started else ""
    )
    for note in status.report.notes:
        yield f"Note: {one_line(note)}"
    for name, stage in status.stages.items():
        yield f"{name}: {', '.join(_facts(stage))}"
    if status.rounds:
        yield f"rounds: {status.rounds} started"
    if status.state == "running" and not status.begun:
        yield "No result yet in this part of the run: models are loading, or the run waits for the pool"
    groups = [*status.report.category_statistics.items(), ("Overall", status.report.overall)]
    yield ""
    yield from _aligned(
        [["Category", "Done", "Failed", "Missing", "Mean"], *(_cells(name, group) for name, group in groups)]
    )
    if status.state == "running" and status.workers:
        yield ""
        yield from _aligned([["Worker", "Device", "Done", "Last"], *_worker_cells(status, time.time())])
    if status.last_failure is not None and status.last_failure not in status.events:
        yield ""
        yield f"Last failure: {_event(status.last_failure)}"
    if status.events:
        yield ""
        yield "Last events:"
        yield from (f"  {_event(row)}" for row in status.events)
    yield ""
    yield f"Log: {one_line(run.log) if run.log else 'there is no log file'}"
    yield from (f"Report: {one_line(path)}" for path in _reports(run))
    if status.state == "stopped":
        yield f"To resume: {one_line(_resume_command(run))}"


def status_json(run: SavedRun, status: RunStatus) -> str:
    """Return the status as one JSON object. Times are in epoch seconds; unknown values are null."""
    content = {
        "run": run.stamp,
        "directory": str(run.path.absolute()),
        "state": status.state,
        "status": status.report.status,
        "started": run.manifest.get("started"),
        "notes": list(status.report.notes),
        "stages": {name: asdict(stage) for name, stage in status.stages.items()},
        "rounds": status.rounds,
        "categories": {name: _counts(group) for name, group in status.report.category_statistics.items()},
        "overall": _counts(status.report.overall),
        "workers": {name: asdict(worker) for name, worker in status.workers.items()},
        "last_failure": None if status.last_failure is None else _event_fields(status.last_failure),
        "last_events": [_event_fields(row) for row in status.events],
        "log": None if run.log is None else str(run.log),
        "reports": [str(path) for path in _reports(run)],
    }
    return encodable(json.dumps(content, ensure_ascii=False, indent=2))


def _facts(stage: StageProgress) -> list[str]:
    facts = [f"{stage.done}/{stage.total}"]
    if stage.failed:
        facts.append(f"{stage.failed} failed")
    if stage.per_second is not None:
        facts.append(f"{stage.per_second:.2f}/s")
    if stage.seconds_left is not None:
        facts.append(f"{format_duration(stage.seconds_left)} left")
    return facts


def _worker_cells(status: RunStatus, now: float) -> Iterator[list[str]]:
    for name, worker in sorted(status.workers.items(), key=lambda entry: place_of(entry[0])):
        device = one_line(worker.device, _LONGEST_NAME) if worker.device else "-"
        ago = f"{format_duration(now - worker.last)} ago"
        yield [one_line(name, _LONGEST_NAME), device, str(worker.done), ago]


def _counts(group: Group) -> dict[str, Any]:
    return {
        "pairs": group.num_pairs,
        "done": group.num_samples + group.num_edited,
        "failed": group.num_failed,
        "missing": group.num_missing,
        "mean": group.mean,
    }


def _cells(name: str, group: Group) -> list[str]:
    counts = _counts(group)
    numbers = (str(counts[what]) for what in ("done", "failed", "missing"))
    return [one_line(name, _LONGEST_NAME), *numbers, score_text(group.mean)]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align the first column to the left and the others to the right; a Chinese character is two cells wide."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        spaces = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join([row[0] + spaces[0], *(space + cell for cell, space in zip(row[1:], spaces[1:], strict=True))])


def _event(row: Row) -> str:
    event = _event_fields(row)
    when = time.strftime("%H:%M:%S", time.localtime(event["time"])) if event["time"] else "--:--:--"
    if isinstance(row, StageRow):
        return f"{when} stage {row.stage} over, {format_duration(row.wall_seconds)}, {counted(row.workers, 'worker')}"
    key = f"{one_line(row.category, _LONGEST_NAME)}/{one_line(row.pair_id, _LONGEST_NAME)}"
    worker = f" on {one_line(event['worker'], _LONGEST_NAME)}" if event["worker"] else ""
    match row:
        case EditedRow():
            return f"{when} edited {key}{worker}"
        case AnsweredRow():
            return f"{when} answered {key}{worker}: {one_line(row.question, _LONGEST_NAME)}"
        case ScoredRow():
            return f"{when} scored {key}{worker}: {score_text(row.score)}"
        case FailedRow():
            reason = f"{row.stage}, {one_line(row.kind, _LONGEST_NAME)}: {one_line(row.message, _LONGEST_MESSAGE)}"
            return f"{when} failed {key}{worker} ({reason})"
    return f"{when} planned {key}"


def _event_fields(row: Row) -> dict[str, Any]:
    names = ("category", "pair_id", "sample", "pass_", "worker", "question", "stage", "kind", "message", "score")
    fields = {name.rstrip("_"): getattr(row, name) for name in names if hasattr(row, name)}
    event = row.__struct_config__.tag
    return {"event": event, "time": getattr(row, "finished", None), "worker": None, **fields}


def _reports(run: SavedRun) -> list[str]:
    return sorted(map(str, run.output_dir.glob(f"evaluation_report_{glob.escape(run.stamp)}.*")))


def _resume_command(run: SavedRun) -> str:
    return resume_command(run.command, run.stamp) if run.command else f"warmbench run --config ... --resume {run.stamp}"
