"""``warmbench report``: writes a run's reports again, from its directory alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from scheduler.base.text import counted, one_line
from scheduler.commands.arguments import path
from scheduler.commands.named_runs import RUN, add_output_dir, with_runs
from scheduler.commands.send import Send
from scheduler.report.figures import averages_line, interval_text, shortfall_text
from scheduler.report.markdown_statistics import correlation_text, matching_lines
from scheduler.report.model import Report
from scheduler.report.official_text import summary_lines
from scheduler.report.saved_run import SavedRun, read_run
from scheduler.report.thumbnails import fill_in
from scheduler.report.writing import UnwrittenError, write_reports
from scheduler.store.human_scores import (
    HUMAN_SCORES,
    HumanScores,
    HumanScoresError,
    read_human_scores,
    store_human_scores,
    stored_human_scores,
)
from scheduler.store.run_directory import reports_locked
from scheduler.terminal.say import say
from scheduler.terminal.table import final_table, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes a run's reports and its pairs.csv again, from its directory alone. Exit codes: 0 every pair was done; "
        "3 some failed or are missing; 2 there is no such run, or it or the human scores cannot be read; 1 the reports "
        "cannot be written, or not sent."
    )
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument(
        "--human-scores",
        type=path,
        metavar="FILE",
        help="a CSV of scores that people gave (category, pair_id, score): the report shows how far the reward agrees; "
        "later reports of the run keep it",
    )
    text = "also send the results to the trackers of the run's config, or of --config"
    parser.add_argument("--send", action="store_true", help=text)
    parser.add_argument("--config", type=path, metavar="FILE", help="with --send: a config with `trackers`")
    add_output_dir(parser)


def execute(options: argparse.Namespace) -> int:
    def rebuild(runs: list[SavedRun]) -> int:
        console = Console(highlight=False)
        send = Send(runs[0], options.config) if options.send or options.config is not None else None
        try:
            report = rebuild_reports(console, runs[0], options.human_scores)
        except UnwrittenError as error:
            print(f"The reports can't be written: {error}", file=sys.stderr)
            return 1
        if send is not None and not send(report, console):
            return 1
        return 0 if report.status == "COMPLETE" else 3

    return with_runs(options, rebuild)


def rebuild_reports(console: Console, run: SavedRun, human_scores: Path | None = None) -> Report:
    """Write the reports, show their table, and return the report.

    ``human_scores`` is a file of scores that people gave; later reports of the run keep it until there is another.

    Raises:
        UnwrittenError: a report cannot be written. The table is shown.
        OSError: the ledger cannot be read.
        ValueError: the name of the run's folder cannot be part of a file's name, or the scores cannot be used.
    """
    given = None if human_scores is None else read_human_scores(human_scores)
    with reports_locked(run.path, patient=True):
        # Read again: while this process waited for the lock, the run may have written its last manifest.
        run = read_run(run.path, run.output_dir)
        report = run.report(given or _stored(run.path))
        if given is not None:
            _store(given, report, run.path)
        fill_in(run.path, report, lambda *_: None)
        unwritten: UnwrittenError | None = None
        try:
            paths = write_reports(report, run.output_dir, run.path, run.metrics)
        except UnwrittenError as error:
            paths, unwritten = error.written, error
    notes = [f"⚠️  {one_line(note)}" for note in report.notes]
    if run.is_running():
        notes.append("⚠️  The run is not over: these are its results so far. It writes its reports again at its end.")
    say(console, *notes)
    if report.official is not None:
        say(console, *summary_lines(report.official, one_line))
    print_table(console, final_table(report, run.metrics))
    say(console, *averages_line(report), *map(one_line, _agreement_lines(report)))
    say(console, *(f"Report: {one_line(path)}" for path in paths))
    complete = report.status == "COMPLETE"
    done = f"{counted(report.overall.num_pairs, 'pair')} done"
    say(console, f"{report.status}: {done if complete else shortfall_text(report.overall)}")
    if unwritten is not None:
        raise unwritten
    return report


def _stored(folder: Path) -> HumanScores | None:
    try:
        return stored_human_scores(folder)
    except HumanScoresError as error:
        raise HumanScoresError(f"{error}\nName the file again with --human-scores, or remove {HUMAN_SCORES}") from error


def _store(given: HumanScores, report: Report, folder: Path) -> None:
    """Store the scores with the run, unless none of them is of one of its pairs."""
    if report.agreement is not None and len(report.agreement.unmatched) == len(given.rows):
        first = given.rows[0]
        name = one_line(f"{first.category}/{first.pair_id}", 200)
        raise HumanScoresError(f"the human scores name no pair of this run; the first, in line {first.line}, is {name}")
    store_human_scores(given, folder)


def _agreement_lines(report: Report) -> list[str]:
    agreement = report.agreement
    if agreement is None:
        return []
    measures = []
    for name, measure in (("Spearman", agreement.overall.spearman), ("Kendall tau-b", agreement.overall.kendall)):
        interval = "" if measure.ci95 is None else f", 95% interval {interval_text(measure.ci95)}"
        measures.append(f"{name} {correlation_text(measure)}{interval}")
    return [
        f"Agreement with human scores: {'; '.join(measures)}",
        *(f"   - {line}" for line in matching_lines(agreement)),
    ]
