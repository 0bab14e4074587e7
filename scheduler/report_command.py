"""``warmbench report RUN``: a run's reports once more, from its directory alone."""

from __future__ import annotations

from rich.console import Console

from scheduler.report import write_reports
from scheduler.run_directory import reports_locked
from scheduler.saved_run import SavedRun, read_run
from scheduler.terminal.say import say
from scheduler.terminal.table import final_table, print_table
from scheduler.text import one_line


def rebuild_reports(console: Console, run: SavedRun) -> bool:
    """Write the reports, show their table, and return whether the run is complete.

    Raises:
        OSError: the ledger can't be read, or a report can't be written.
        ValueError: the run's folder has a name that can't be part of a file's.
    """
    with reports_locked(run.path, patient=True):
        # Once more: while we waited, the run may have ended and written its last manifest.
        run = read_run(run.path, run.output_dir)
        report = run.report()
        paths = write_reports(report, run.output_dir, run.path, run.metrics)
    notes = [f"⚠️  {one_line(note)}" for note in report.notes]
    if run.is_running():
        notes.append("⚠️  The run is not over: this is what it has so far. It writes its reports again at its end.")
    say(console, *notes)
    print_table(console, final_table(report, run.metrics))
    say(console, *(f"Report: {one_line(path)}" for path in paths))
    overall = report.overall
    if report.status == "COMPLETE":
        say(console, f"COMPLETE: all {overall.num_pairs} pairs were done")
    else:
        counts = f"{overall.num_failed} of {overall.num_pairs} pairs failed, {overall.num_missing} are not done yet"
        say(console, f"INCOMPLETE: {counts}")
    return report.status == "COMPLETE"
