"""The results: JSON lines to which several calls add, and one Markdown table of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Status = Literal["begun", "figure", "failed", "not reached", "done"]
Record = Mapping[str, Any]
Write = Callable[[Record], None]

_LONGEST_MESSAGE = 240


def read_records(path: Path) -> list[Record]:
    """The records of earlier calls; an incomplete last line is skipped."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append_record(path: Path, record: Record) -> None:
    """Add a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def latest(records: Sequence[Record], measure: str, conditions: Mapping[str, Any]) -> list[Record]:
    """The records of the last time that this was measured under these conditions; none if it never was.

    Figures of a measurement that was cut off stay until there are newer ones.
    """
    last: list[Record] = []
    for record in records:
        if record["measure"] != measure or any(record.get(key) != value for key, value in conditions.items()):
            continue
        if record["status"] == "begun":
            last = [] if status_of(last) == "done" else [row for row in last if is_figure(row)]
        last = [row for row in last if row.get("what") is None or row["what"] != record.get("what")]
        last.append(record)
    return last


def is_figure(record: Record) -> bool:
    """Whether it is a figure, and no error."""
    return record["status"] == "figure" and "error" not in record


def status_of(records: Sequence[Record]) -> Status | None:
    """How a measurement ended; None if it never started, or was killed."""
    last: Status | None = records[-1]["status"] if records else None
    return last if last in ("failed", "not reached", "done") else None


def markdown_table(results: Mapping[str, Sequence[Record]]) -> list[str]:
    """The lines of the table: each measurement's figures, then how it ended, unless it is done."""
    lines = ["| what | figure |", "|---|---|"]
    for measure, records in results.items():
        for record in records:
            if record["status"] == "figure":
                figure = f"failed: {short(record['error'])}" if "error" in record else record["figure"]
                lines.append(_line(record["what"], figure))
        ended = status_of(records)
        if ended == "failed":
            lines.append(_line(measure, f"failed: {short(records[-1]['message'])}"))
        elif ended != "done":
            lines.append(_line(measure, "not reached"))
    return lines


def short(message: str) -> str:
    """The end of a message, where programs say what failed, on one line; an indented hint keeps the line before it."""
    lines = [line for line in message.splitlines() if line.strip()] or ["no message"]
    text = lines[-1].strip()
    if len(lines) > 1 and _indent(lines[-2]) < _indent(lines[-1]):
        text = f"{lines[-2].strip()}; {text}"
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _line(what: str, figure: str) -> str:
    return f"| {_cell(what)} | {_cell(figure)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
