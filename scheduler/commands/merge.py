"""``warmbench merge``: makes one run, with one report, of the shards of a benchmark."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from scheduler.base.text import counted, one_line
from scheduler.commands.named_runs import RUN, add_output_dir, with_runs
from scheduler.commands.report import rebuild_reports
from scheduler.report.saved_run import SavedRun, read_run
from scheduler.report.writing import UnwrittenError
from scheduler.store.merge import MergeError, Part, plan_merge
from scheduler.store.merge_files import write_merge
from scheduler.store.process_facts import process_facts
from scheduler.terminal.say import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Makes one run of runs that evaluated the shards of a benchmark (--shard I/N), and writes its reports. The "
        "shards stay as they are. Exit codes: 0 every pair was done; 3 some failed or are missing; 2 there is no such "
        "run, or they are not all shards of one run, and nothing was written; 1 the run or its reports cannot be "
        "written."
    )
    parser.add_argument("run", metavar="RUN", help=f"a shard: {RUN}")
    parser.add_argument("others", nargs="*", metavar="RUN", help="another shard")
    text = "merge also if shards are missing; the report says which, and its official numbers are not comparable"
    parser.add_argument("--allow-missing", action="store_true", help=text)
    add_output_dir(parser)


def execute(options: argparse.Namespace) -> int:
    def merge(runs: list[SavedRun]) -> int:
        if running := [f"{one_line(run.path, 400)} is still running" for run in runs if run.is_running()]:
            raise MergeError(running)
        plan = plan_merge([Part(run.path, run.manifest, run.rows) for run in runs], allow_missing=options.allow_missing)
        output_dir = options.output_dir or Path("outputs")
        console = Console(highlight=False)
        try:
            folder = write_merge(plan, output_dir, process_facts())
            say(console, f"Merged {counted(len(runs), 'shard')} into run {one_line(folder.name)}")
            return 0 if rebuild_reports(console, read_run(folder, output_dir)).status == "COMPLETE" else 3
        except OSError as error:
            what = "reports" if isinstance(error, UnwrittenError) else "run"
            print(f"The {what} can't be written: {error}", file=sys.stderr)
            return 1

    return with_runs(options, merge)
