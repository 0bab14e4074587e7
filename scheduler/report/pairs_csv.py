"""``pairs.csv``: one row for each pair and sample, for spreadsheets and data frames.

RFC 4180, with CRLF between rows, in UTF-8 with a byte order mark: without it Excel does not read Chinese as UTF-8;
pandas, polars, R and DuckDB ignore it. Numbers are written unchanged. Texts come from data and models and must not
become formulas: a text that begins like a formula, or with an apostrophe, gets an apostrophe in front, which no
spreadsheet evaluates. To get the exact text, remove one leading apostrophe. Line breaks and tabs within a text stay
(quoted), other control characters are written as escapes. A text is cut to what a cell can hold; the JSON report has
the whole text.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator

from scheduler.base.text import ELLIPSIS, one_line
from scheduler.report.dimensions import aspect_names, dimension_names, sample_dimension
from scheduler.report.model import Report
from scheduler.store.results import Failure, PairResult, PairStatus, SampleResult

MAX_TEXT = 32_000
"""Characters; Excel allows 32,767 and moves the rest of a longer text into other cells."""

_OF_EDIT = ("seed", "image", "sha256", "width", "height", "edit_seconds", "worker", "device")
_AFTER_SCORES = (*_OF_EDIT, "method", "failure_stage", "failure_kind", "failure_message")
_TEXTS = ("instruction", "description", "response")

# A full-width sign begins a formula as well, in some languages of Excel; a tab or line break may be trimmed off.
_FORMULA = re.compile(r"[=+\-@'\t\r\n＝＋－＠]")
_KEPT = re.compile(r"([\n\r\t])")

Cell = str | int | float | None


def pairs_csv(report: Report) -> bytes:
    """Return the table. The rows of a pair that failed to load have only the reason."""
    dimensions, aspects = dimension_names(report.pairs), aspect_names(report.pairs)
    failures: dict[tuple[str, str], list[Failure]] = {}
    for failure in report.failures:
        failures.setdefault((failure.category, failure.pair_id), []).append(failure)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    names = [f"{'aspect' if name in aspects else 'dimension'}:{cell_text(name)}" for name in dimensions]
    writer.writerow(["category", "pair_id", "sample", "status", "score", *names, *_AFTER_SCORES, *_TEXTS])
    for pair in report.pairs:
        for row in _rows(pair, failures.get((pair.category, pair.pair_id), ()), dimensions, report):
            writer.writerow([cell_text(cell) if isinstance(cell, str) else cell for cell in row])
    return codecs.BOM_UTF8 + buffer.getvalue().encode()


def _rows(
    pair: PairResult, failures: Iterable[Failure], dimensions: Iterable[str], report: Report
) -> Iterator[list[Cell]]:
    samples = {sample.sample: sample for sample in pair.samples}
    for number in range(report.samples_per_pair):
        sample = samples.get(number)
        scores = sample.scores if sample else ()
        failure = next((failure for failure in failures if failure.sample in (None, number)), None)
        score = sample.score if sample and not failure else None
        yield [
            pair.category,
            pair.pair_id,
            number,
            _status(sample, failure, report),
            score,
            *(sample_dimension(sample, name, report.reward_passes) if sample else None for name in dimensions),
            *_edit_cells(sample),
            ", ".join(dict.fromkeys(score.method for score in scores)) or None,
            *((failure.stage, failure.kind, failure.message) if failure else (None, None, None)),
            pair.instruction,
            pair.description,
            "\n\n".join(_responses(sample)) or None,
        ]


def _responses(sample: SampleResult | None) -> Iterator[str]:
    if sample is not None:
        yield from (score.response for score in sample.scores if score.response is not None)
        yield from (f"{answer.question}: {answer.response}" for answer in sample.answers)


def _status(sample: SampleResult | None, failure: Failure | None, report: Report) -> PairStatus:
    """The status of one sample, in the words of a pair's status."""
    if failure:
        return "failed"
    if sample is None:
        return "missing"
    if sample.score is not None:
        return "scored"
    return "edited" if sample.sha256 is not None and "score" not in report.stages else "missing"


def _edit_cells(sample: SampleResult | None) -> list[Cell]:
    if sample is None:
        return [None] * len(_OF_EDIT)
    width, height = sample.size or (None, None)
    seconds = sample.edit_device_seconds
    return [sample.seed, sample.image, sample.sha256, width, height, seconds, sample.worker, sample.device]


def cell_text(text: str) -> str:
    """The text as a cell can hold it."""
    shown = "".join(part if _KEPT.match(part) else one_line(part) for part in _KEPT.split(text[: MAX_TEXT + 1]))
    if len(shown) > MAX_TEXT:
        shown = shown[: MAX_TEXT - 1] + ELLIPSIS
    return f"'{shown}" if _FORMULA.match(shown) else shown
