"""The section of the Markdown report about the benchmark's own numbers."""

from __future__ import annotations

from scheduler.report.markdown_text import escape, table
from scheduler.report.model import Official
from scheduler.report.official_text import (
    answered_text,
    comparable_text,
    judge_text,
    number_interval_text,
    number_text,
)


def official_lines(official: Official | None) -> list[str]:
    """The numbers with their intervals, and why they can't be compared with published ones; none without a protocol."""
    if official is None:
        return []
    lines = [f"## Official Numbers: {escape(official.protocol, 100)}", "", f"**{comparable_text(official)}**"]
    if official.deviations:
        lines += ["", *(f"- {escape(sentence, 2000)}" for sentence in official.deviations)]
    if official.numbers:
        rows = [
            [
                f"**{escape(name, 200)}**" if name == official.main else escape(name, 200),
                number_text(value),
                number_interval_text(official.intervals.get(name)),
            ]
            for name, value in official.numbers.items()
        ]
        lines += ["", *table(["Number", "Value", "95% CI"], rows)]
    full = "" if official.num_full is None else f" (the full benchmark has {official.num_full})"
    lines += [
        "",
        f"- Version: {escape(official.version, 100)}",
        f"- Judge: {judge_text(official, escape)}",
        f"- Items Scored: {official.num_scored} of {official.num_items}{full}",
    ]
    if official.judge.answered:
        lines.append(f"- Answered by: {answered_text(official, escape)}")
    if official.commit is not None:
        lines.append(f"- Commit of the Official Files: {escape(official.commit, 100)}")
    return lines + [f"- {escape(path, 200)}: SHA-256 {escape(sha256, 64)}" for path, sha256 in official.files.items()]
