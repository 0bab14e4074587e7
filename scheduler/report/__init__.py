"""From the ledger's rows to what people and programs read: the report as data, as JSON and as Markdown."""

from scheduler.report.build import build_report, read_tallies
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.json_form import report_as_json, report_schema
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Report
from scheduler.report.writing import write_reports
from scheduler.store.results import Expected
from scheduler.store.tally import OUTDATED, PairTally

__all__ = [
    "DEFAULT_METRICS",
    "OUTDATED",
    "Expected",
    "PairTally",
    "Report",
    "build_report",
    "read_tallies",
    "render_markdown",
    "report_as_json",
    "report_schema",
    "write_reports",
]
