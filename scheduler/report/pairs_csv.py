"""``pairs.csv``: one row for each pair and sample, for spreadsheets and data frames.

RFC 4180, with CRLF between rows, in UTF-8 with a byte order mark: without one, Excel takes Chinese for something else,
and pandas, polars, R and DuckDB all pass over one. Numbers are written as they are. Texts come from data and models, so
none of them may become a formula: one that begins like a formula, or with an apostrophe, gets an apostrophe in front,
which no spreadsheet evaluates; whoever wants the exact text takes one leading apostrophe off. Line breaks and tabs
within a text stay (quoted), other control characters are shown as escapes. No text is longer than a spreadsheet's cell
can be; the JSON report has it all.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator

from scheduler.base.text import ELLIPSIS, one_line
from scheduler.report.aspects import aspect_mean, aspect_names
from scheduler.report.model import Report
from scheduler.store.results import EditResult, Expected, Failure, PairResult, PairStatus, SampleResult

LONGEST_TEXT = 32_000
"""Characters; Excel allows 32,767, and spills what is longer into other cells."""

_ABOUT_THE_EDIT = ("seed", "image", "sha256", "width", "height", "edit_seconds", "worker", "device")
_BEHIND = (*_ABOUT_THE_EDIT, "method", "failure_stage", "failure_kind", "failure_message")
_TEXTS = ("instruction", "description", "response")

# A full-width sign begins a formula as well, in some languages of Excel; a tab or line break may be trimmed off.
_FORMULA = re.compile(r"[=+\-@'\t\r\n＝＋－＠]")
_KEPT = re.compile(r"([\n\r\t])")

Cell = str | int | float | None


def pairs_csv(report: Report) -> bytes:
    """Return the table. A pair that failed to load has its rows too, with nothing in them but why."""
    aspects = aspect_names(report.pairs)
    failures: dict[tuple[str, str], list[Failure]] = {}
    for failure in report.failures:
        failures.setdefault((failure.category, failure.pair_id), []).append(failure)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    names = [f"aspect:{cell_text(name)}" for name in aspects]
    writer.writerow(["category", "pair_id", "sample", "status", "score", *names, *_BEHIND, *_TEXTS])
    for pair in report.pairs:
        for row in _rows(pair, failures.get((pair.category, pair.pair_id), ()), aspects, report.expected):
            writer.writerow([cell_text(cell) if isinstance(cell, str) else cell for cell in row])
    return codecs.BOM_UTF8 + buffer.getvalue().encode()


def _rows(
    pair: PairResult, failures: Iterable[Failure], aspects: Iterable[str], expected: Expected
) -> Iterator[list[Cell]]:
    known = {sample.sample: sample for sample in pair.samples}
    for number in range(expected.samples_per_pair):
        sample = known.get(number) or SampleResult(sample=number, edit=None, scores=(), score=None)
        failure = next((one for one in failures if one.sample in (None, number)), None)
        score = None if failure else sample.score
        yield [
            pair.category,
            pair.pair_id,
            number,
            _status(sample, failure, expected),
            score,
            *(None if score is None else aspect_mean(sample, name) for name in aspects),
            *_of_edit(sample.edit),
            ", ".join(dict.fromkeys(one.method for one in sample.scores)) or None,
            *((failure.stage, failure.kind, failure.message) if failure else (None, None, None)),
            pair.instruction,
            pair.description,
            "\n\n".join(one.response for one in sample.scores if one.response is not None) or None,
        ]


def _status(sample: SampleResult, failure: Failure | None, expected: Expected) -> PairStatus:
    """As a pair's status, of this sample alone."""
    if failure:
        return "failed"
    if sample.score is not None:
        return "scored"
    return "edited" if sample.edit is not None and "score" not in expected.stages else "missing"


def _of_edit(edit: EditResult | None) -> list[Cell]:
    if edit is None:
        return [None] * len(_ABOUT_THE_EDIT)
    return [edit.seed, edit.image, edit.sha256, *edit.size, edit.device_seconds, edit.worker, edit.device]


def cell_text(text: str) -> str:
    """The text as a cell may hold it."""
    shown = "".join(part if _KEPT.match(part) else one_line(part) for part in _KEPT.split(text[: LONGEST_TEXT + 1]))
    if len(shown) > LONGEST_TEXT:
        shown = shown[: LONGEST_TEXT - 1] + ELLIPSIS
    return f"'{shown}" if _FORMULA.match(shown) else shown
