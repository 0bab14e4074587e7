"""The report as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.base.text import counted, format_duration
from scheduler.report.figures import (
    METRIC_LABELS,
    NOTHING,
    chosen_metrics,
    failure_place,
    interval_text,
    metric_text,
    score_text,
    shortfall_text,
)
from scheduler.report.markdown_official import official_lines
from scheduler.report.markdown_statistics import agreement_lines, dimension_lines, variance_lines
from scheduler.report.markdown_text import escape, table
from scheduler.report.model import Group, JudgeUsage, Performance, Report

MAX_FAILURES = 200
MAX_PROVENANCE_LINES = 200
MAX_MESSAGE = 300
MAX_NOTE = 2000


def render_markdown(report: Report, metrics: Sequence[str]) -> str:
    """Return the report as Markdown. ``metrics`` are the statistics that the tables show, in that order.

    Raises:
        ValueError: an unknown metric.
    """
    chosen = chosen_metrics(metrics)
    parts = [
        _head(report),
        official_lines(report.official),
        _overall(report),
        _categories(report, chosen),
        variance_lines(report.variance),
        agreement_lines(report),
        _failures(report),
        _scoring(report),
        _performance(report.performance),
        _provenance(report.provenance),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(report: Report) -> list[str]:
    lines = ["# Image Edit Benchmark Evaluation Report", "", f"**Status: {report.status}**"]
    if report.status == "INCOMPLETE":
        lines[-1] += f" ({shortfall_text(report.overall)})"
    for note in report.notes:
        lines += ["", f"> **Note:** {escape(note, MAX_NOTE)}"]
    return lines


def _overall(report: Report) -> list[str]:
    overall = report.overall
    lines = [
        "## Overall Statistics",
        f"- Total Pairs: {overall.num_pairs}",
        f"- Overall Mean Score: {score_text(overall.mean)}",
        f"- Overall Std: {score_text(overall.std)}",
        f"- 95% Confidence Interval of the Mean: {interval_text(overall.ci95)}",
        f"- Micro Average (Mean over Pairs): {score_text(overall.mean)}",
        f"- Macro Average (Mean of Category Means): {score_text(overall.macro_mean)}",
        f"- Scored Pairs: {overall.num_samples}",
        f"- Failed Pairs: {overall.num_failed}",
    ]
    if overall.num_missing:
        lines.append(f"- Missing Pairs: {overall.num_missing}")
    if overall.num_edited:
        lines.append(f"- Edited Pairs, No Score Asked For: {overall.num_edited}")
    return lines


def _categories(report: Report, metrics: Sequence[str]) -> list[str]:
    lines = ["## Category Statistics", ""]
    protocol = None if report.official is None else report.official.protocol
    named = [(escape(name, 100), group) for name, group in report.category_statistics.items()]
    rows = []
    for name, group in [*named, ("**Overall**", report.overall)]:
        counts = [group.num_samples, group.num_failed, group.num_missing]
        rows.append([name, *(metric_text(group, metric) for metric in metrics), *map(str, counts)])
    headings = ["Category", *(METRIC_LABELS[metric] for metric in metrics), "Count", "Failed", "Missing"]
    lines += table(headings, rows)
    for name, group in named:
        lines += ["", f"### {name}", *_category(group, metrics, protocol)]
    return lines


def _category(group: Group, metrics: Sequence[str], protocol: str | None) -> list[str]:
    shown = dict.fromkeys(["mean", "std", *metrics, "ci95"])
    lines = [f"- {METRIC_LABELS[metric]}: {metric_text(group, metric)}" for metric in shown]
    lines.append(f"- Count: {group.num_samples}")
    if group.num_failed:
        lines.append(f"- Failed: {group.num_failed} of {group.num_pairs}")
    if group.num_missing:
        lines.append(f"- Missing: {group.num_missing} of {group.num_pairs}")
    if group.num_edited:
        lines.append(f"- Edited, No Score Asked For: {group.num_edited} of {group.num_pairs}")
    return lines + dimension_lines(group, metrics, protocol)


def _failures(report: Report) -> list[str]:
    if not report.failures:
        return []
    counts = Counter((failure.stage, failure.kind) for failure in report.failures)
    lines = ["## Failures", ""]
    lines += [f"- {stage}, {escape(kind, 100)}: {count}" for (stage, kind), count in counts.most_common()]
    rows = [
        [
            escape(failure.category, 100),
            escape(failure.pair_id, 200),
            escape(failure_place(failure), 200),
            escape(failure.kind, 100),
            escape(failure.message, MAX_MESSAGE),
        ]
        for failure in report.failures[:MAX_FAILURES]
    ]
    lines += ["", *table(["Category", "Pair", "Stage", "Kind", "Message"], rows, left=5)]
    if len(report.failures) > MAX_FAILURES:
        lines += ["", f"The first {MAX_FAILURES} of {len(report.failures)}; the JSON report has all of them."]
    return lines


def _scoring(report: Report) -> list[str]:
    methods = report.provenance["scoring_methods"]
    lines = [f"- {escape(method, 100)}: {counted(count, 'score')}" for method, count in methods.items()]
    return ["## How Scores Were Made", *lines] if lines else []


def _performance(performance: Performance) -> list[str]:
    stages = [("Edit", performance.edit), ("Score", performance.score)]
    switching = _duration(performance.model_switch_seconds)
    loss = performance.barrier_loss_in_file_order
    in_file_order = f" (in the file's order unequal edits would have cost {_duration(loss)})" if loss else ""
    rows = [
        [
            name,
            _duration(stage.wall_seconds),
            _duration(stage.device_seconds),
            _count(stage.workers),
            NOTHING if stage.efficiency is None else f"{stage.efficiency:.1%}",
        ]
        for name, stage in stages
    ]
    return [
        "## Performance",
        "",
        *table(["Stage", "Wall", "Device", "Workers", "Efficiency"], rows),
        "",
        f"- Rounds: {_count(performance.rounds)}",
        f"- Waiting at Barriers: {_duration(performance.barrier_wait_seconds)}{in_file_order}",
        f"- Model Switches: {_count(performance.model_switches)} ({switching} in all)",
        *(_judge(performance.judge) if performance.judge is not None else ()),
    ]


def _judge(judge: JudgeUsage) -> Iterator[str]:
    tokens = f"{judge.prompt_tokens:,} prompt tokens, {judge.completion_tokens:,} completion tokens"
    yield f"- Requests to the Judge: {judge.requests:,} ({tokens})"
    for answered in judge.answered_by:
        name = " ".join(filter(None, (answered.model, answered.system_fingerprint)))
        yield f"- Answered by {escape(name, 200)}: {answered.num_answers:,}"


def _count(count: int | None) -> str:
    return NOTHING if count is None else str(count)


def _duration(seconds: float | None) -> str:
    return NOTHING if seconds is None else format_duration(seconds)


def _provenance(provenance: Mapping[str, Any]) -> list[str]:
    values: list[tuple[str, object]] = []
    for key, value in provenance.items():
        if key not in ("notes", "scoring_methods"):  # both have sections of their own
            _flatten(key, value, values)
    if not values:
        return []
    lines = [f"- {escape(key, 100)}: {escape(value, 200)}" for key, value in values[:MAX_PROVENANCE_LINES]]
    if len(values) > MAX_PROVENANCE_LINES:
        lines.append(f"- and {len(values) - MAX_PROVENANCE_LINES} more, which the JSON report has")
    return ["## Provenance", *lines]


def _flatten(key: str, value: object, into: list[tuple[str, object]]) -> None:
    """Append nested values under names like ``a.b.c``; a list of plain values becomes one line."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            _flatten(f"{key}.{name}", item, into)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            _flatten(f"{key}.{number}", item, into)
    elif isinstance(value, list | tuple):
        into.append((key, ", ".join(map(str, value)) if value else NOTHING))
    else:
        into.append((key, NOTHING if value is None or value in ("", {}) else value))
