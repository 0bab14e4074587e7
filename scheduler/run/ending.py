"""What follows the work of a run: the reports, the table, the trackers, and the command of ``--on-result``.

A run imports this when its first result has come: no pair waits for it, and a checkout that changes later changes
nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from scheduler.base.exit_codes import EXIT_COMPLETE, EXIT_INCOMPLETE, EXIT_INTERRUPTED
from scheduler.base.text import format_duration
from scheduler.report.build import build_report
from scheduler.report.model import Report
from scheduler.report.thumbnails import MAX_SECONDS, fill_in
from scheduler.report.tracked import to_send
from scheduler.report.writing import UnwrittenError, write_reports
from scheduler.run.prepare import Prepared, secret_variables
from scheduler.run.result_hook import ResultHook, result_variables
from scheduler.store.checked_rows import checked_rows
from scheduler.store.human_scores import readable_human_scores
from scheduler.store.ledger import read_ledger
from scheduler.store.results import Expected
from scheduler.store.run_directory import RunDirectory
from scheduler.terminal.summary import print_summary
from scheduler.trackers.sending import Sender

log = logging.getLogger("warmbench")

_HASTY_SECONDS = 2.0
"""Time for thumbnails where the run is not complete: the part that resumes it makes the others."""


def write_and_show(
    prepared: Prepared,
    directory: RunDirectory,
    manifest: dict[str, Any],
    expected: Expected,
    console: Console,
    seconds: float,
    *,
    patient: bool,
) -> Report:
    """Write the reports and show the table, also that of reports that cannot be written. ``seconds`` is how long the
    run has taken; if not ``patient``, thumbnails get little time.

    Raises:
        OSError: the reports cannot be written.
    """
    evaluation = prepared.config.evaluation
    rows = checked_rows(read_ledger(directory.ledger), directory.path, manifest)
    report = build_report(rows, manifest=manifest, expected=expected, human=readable_human_scores(directory.path))
    images = prepared.benchmark.images_by_name()
    fill_in(directory.path, report, images, seconds=MAX_SECONDS if patient else _HASTY_SECONDS)
    for category, group in report.category_statistics.items():
        if "score" not in prepared.stages and not group.num_samples:
            log.info("%s: %d of %d edited", category, group.num_edited, group.num_pairs)
            continue
        mean = "-" if group.mean is None else f"{group.mean:.3f}"
        log.info("%s: %d of %d scored, mean %s", category, group.num_samples, group.num_pairs, mean)
    unwritten = None
    try:
        paths = write_reports(report, evaluation.output_dir, directory.path, evaluation.metrics)
    except UnwrittenError as error:
        paths, unwritten = error.written, error
    for path in paths:
        log.info("Report: %s", path)
    log.info("Total time: %s", format_duration(seconds))
    print_summary(console, report, paths, seconds, metrics=evaluation.metrics)
    if unwritten is not None:
        raise unwritten
    return report


def announce_result(
    prepared: Prepared,
    directory: RunDirectory,
    report: Report | None,
    code: int,
    on_result: Sequence[str] | None,
    sender: Sender,
) -> None:
    """Begin to send the results to the trackers, and start the command of ``--on-result``, if the run has ended by
    itself and written its reports. An aborted run has no result for trackers: the part that resumes it will.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the command has ended.
    """
    if report is None or code == EXIT_INTERRUPTED:
        return
    config = prepared.config
    if code in (EXIT_COMPLETE, EXIT_INCOMPLETE):
        for order in to_send(config.trackers.wanted, report, directory.path, config.evaluation.output_dir):
            sender.send(order, secrets=secret_variables(config))
    if on_result is None:
        return
    hook = ResultHook(on_result, secrets=secret_variables(config))
    hook(result_variables(report, directory.path, config.evaluation.output_dir, code))
