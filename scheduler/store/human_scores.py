"""Scores that people gave, from a CSV file; every error is reported with its line.

Columns are found by name, in any order and case: ``score``, and ``category`` with ``pair_id`` (or ``id``), or an ``id``
that is ``category/pair_id``; optional are ``sample`` and ``rater``. Other columns are ignored. A row whose score is
empty is not rated yet. A copy of the file is stored with the run.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from scheduler.base.files import write_atomically
from scheduler.base.text import one_line

log = logging.getLogger("warmbench")

HUMAN_SCORES = "human_scores.csv"
"""The copy in the run's folder."""

MAX_BYTES = 64 * 2**20
_MAX_SCORE = 1e6
_KNOWN = ("category", "pair_id", "id", "score", "sample", "rater")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


class HumanScoresError(ValueError):
    """The file cannot be used; the message names the file, and every error with its line."""


class HumanScore(Struct, frozen=True):
    """One row: the score of a pair, or of one sample of it. Names are as in the file."""

    line: int
    category: str
    pair_id: str
    sample: int | None
    rater: str | None
    score: float


class HumanScores(Struct, frozen=True):
    """A file that was read: ``num_blank`` rows have no score yet, ``content`` is its bytes."""

    rows: tuple[HumanScore, ...]
    num_blank: int
    content: bytes


def read_human_scores(path: Path) -> HumanScores:
    """Read a file; raises ``HumanScoresError`` with every error."""
    name = one_line(path)
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise HumanScoresError(f"{name}: larger than {MAX_BYTES >> 20} MiB")
    lines = _lines(name, _decode(name, content))
    if not lines:
        raise HumanScoresError(f"{name}: empty; its first line must name the columns")
    header_line, header = lines[0]
    reader = _Reader(header)
    problems = [f"line {header_line}: {problem}" for problem in reader.problems]
    rows: list[HumanScore] = []
    blank = 0
    for line, cells in lines[1:] if not problems else ():
        try:
            row = reader.row(line, cells)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if row is None:
            blank += 1
        else:
            rows.append(row)
    if not problems and not rows:
        problems.append("it has no score")
    if problems:
        raise HumanScoresError("\n".join(f"{name}: {problem}" for problem in problems))
    return HumanScores(tuple(rows), blank, content)


def store_human_scores(scores: HumanScores, run_folder: Path) -> None:
    """Store the file with the run, for later reports."""
    write_atomically(run_folder / HUMAN_SCORES, scores.content, sync_folder=True)


def stored_human_scores(run_folder: Path) -> HumanScores | None:
    """Read the file that is stored with the run, if any; raises ``HumanScoresError`` if it is damaged."""
    path = run_folder / HUMAN_SCORES
    return read_human_scores(path) if path.is_file() else None


def readable_human_scores(run_folder: Path) -> HumanScores | None:
    """Return the same for the end of a run, which must not fail because of it: an error is logged."""
    try:
        return stored_human_scores(run_folder)
    except (HumanScoresError, OSError) as error:
        log.warning("The report has no human scores: %s", error)
        return None


def _decode(name: str, content: bytes) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        advice = 'save it as UTF-8 (in Excel: "CSV UTF-8")'
        raise HumanScoresError(f"{name}: line {line}: this is not {encoding.removesuffix('-sig')}; {advice}") from error


def _lines(name: str, text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the number of its first line."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        raise HumanScoresError(f"{name}: line {start}: {error}") from error
    return lines


class _Reader:
    """Reads rows by the names of the columns."""

    def __init__(self, header: Sequence[str]) -> None:
        self._names = [cell.strip().casefold() for cell in header]
        self.problems = list(self._check())

    def _check(self) -> Iterator[str]:
        names = set(self._names)
        yield from (f"there are several columns {name}" for name in _KNOWN if self._names.count(name) > 1)
        if "score" not in names:
            yield f"there is no column score; the columns are {', '.join(map(_quoted, self._names))}"
        if "category" in names and not names & {"pair_id", "id"}:
            yield "there is a column category but no pair_id"
        if "category" not in names and "id" not in names:
            yield "there is neither a column category with pair_id, nor an id (category/pair_id)"

    def row(self, line: int, cells: Sequence[str]) -> HumanScore | None:
        """Return the row; None if it has no score. Raises ``ValueError`` if the row is wrong."""
        if len(cells) != len(self._names):
            raise ValueError(f"{len(cells)} cells for {len(self._names)} columns")
        values = dict(zip(self._names, cells, strict=True))
        category, pair_id = self._key(values)
        sample = values.get("sample", "").strip()
        if sample and not (sample.isascii() and sample.isdigit() and len(sample) < 10):
            raise ValueError(f"sample is {_quoted(sample)}, not an integer of 0 or more")
        score = values["score"].strip()
        if not score:
            return None
        number = float(score.replace(",", ".")) if _NUMBER.fullmatch(score) else math.nan
        if not abs(number) <= _MAX_SCORE:
            raise ValueError(f"score is {_quoted(score)}, not a number from {-_MAX_SCORE:g} to {_MAX_SCORE:g}")
        return HumanScore(
            line=line,
            category=category,
            pair_id=pair_id,
            sample=int(sample) if sample else None,
            rater=values.get("rater", "").strip() or None,
            score=number,
        )

    def _key(self, values: dict[str, str]) -> tuple[str, str]:
        if "category" in values:
            key = values["category"], values["pair_id" if "pair_id" in values else "id"]
        else:
            category, slash, pair_id = values["id"].partition("/")
            if not slash:
                raise ValueError(f"id is {_quoted(values['id'])}, not category/pair_id")
            key = category, pair_id
        if not all(key):
            raise ValueError("the name of the pair is empty")
        return key


def _quoted(text: str) -> str:
    return f"'{one_line(text, 60)}'"
