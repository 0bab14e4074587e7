"""The scores that people gave: a CSV file of theirs, read with all that is wrong with it told by its lines.

Columns are known by their names, in any order and case: ``score``, and ``category`` with ``pair_id`` (or ``id``), or
alone an ``id`` that is ``category/pair_id``; if they are there, ``sample`` and ``rater``. All others are passed over. A
row whose score is empty is one that nobody has rated yet. What was read stays beside the run, byte for byte.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scheduler.base.files import write_atomically
from scheduler.base.text import one_line

log = logging.getLogger("warmbench")

KEPT_AS = "human_scores.csv"
"""In the run's folder."""

MOST_BYTES = 64 * 2**20
_HIGHEST = 1e6
_KNOWN = ("category", "pair_id", "id", "score", "sample", "rater")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


class HumanScoresError(ValueError):
    """A file of scores that can't be used; the message names the file, and the line of each thing that is wrong."""


@dataclass(frozen=True, slots=True)
class HumanScore:
    """One row: what a person said of a pair, or of one sample of it. The names are as they stand in the file."""

    line: int
    category: str
    pair_id: str
    sample: int | None
    rater: str | None
    score: float


@dataclass(frozen=True, slots=True)
class HumanScores:
    """A file that was read. ``num_blank`` rows have no score yet. ``content`` are its bytes."""

    rows: tuple[HumanScore, ...]
    num_blank: int
    content: bytes


def read_human_scores(path: Path) -> HumanScores:
    """Read a file.

    Raises:
        HumanScoresError: it can't be used; all that is wrong with it is told.
        OSError: it can't be read.
    """
    name = one_line(path)
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise HumanScoresError(f"{name}: larger than {MOST_BYTES >> 20} MiB")
    lines = _lines(name, _decoded(name, content))
    if not lines:
        raise HumanScoresError(f"{name}: empty; its first line has to name the columns")
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
        problems.append("there is not a single score in it")
    if problems:
        raise HumanScoresError("\n".join(f"{name}: {problem}" for problem in problems))
    return HumanScores(tuple(rows), blank, content)


def keep(scores: HumanScores, run_folder: Path) -> None:
    """Have later reports of the run find the file.

    Raises:
        OSError: it can't be written.
    """
    write_atomically(run_folder / KEPT_AS, scores.content, sync_folder=True)


def kept(run_folder: Path) -> HumanScores | None:
    """What an earlier report of this run was given, if anything.

    Raises:
        HumanScoresError: somebody has changed it since.
        OSError: it can't be read.
    """
    path = run_folder / KEPT_AS
    return read_human_scores(path) if path.is_file() else None


def kept_if_readable(run_folder: Path) -> HumanScores | None:
    """The same, for the end of a run, which nothing of this may spoil: what is wrong is told, and left out."""
    try:
        return kept(run_folder)
    except (HumanScoresError, OSError) as error:
        log.warning("The report has no human scores: %s", error)
        return None


def _decoded(name: str, content: bytes) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        advice = 'save it as UTF-8 (in Excel: "CSV UTF-8")'
        raise HumanScoresError(f"{name}: line {line}: this is not {encoding.removesuffix('-sig')}; {advice}") from error


def _lines(name: str, text: str) -> list[tuple[int, list[str]]]:
    """The rows that hold anything, each with the number of its first line."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise HumanScoresError(f"{name}: line {begin}: {error}") from error
    return found


class _Reader:
    """Reads rows by the names of their columns."""

    def __init__(self, header: Sequence[str]) -> None:
        self._names = [cell.strip().casefold() for cell in header]
        self.problems = list(self._check())

    def _check(self) -> Iterator[str]:
        found = set(self._names)
        yield from (f"there are several columns {name}" for name in _KNOWN if self._names.count(name) > 1)
        if "score" not in found:
            yield f"there is no column score; the columns are {', '.join(map(_shown, self._names))}"
        if "category" in found and not found & {"pair_id", "id"}:
            yield "there is a column category, and no pair_id"
        if "category" not in found and "id" not in found:
            yield "there is neither a column category with pair_id, nor an id (category/pair_id)"

    def row(self, line: int, cells: Sequence[str]) -> HumanScore | None:
        """The row; None if it has no score.

        Raises:
            ValueError: what is wrong with it.
        """
        if len(cells) != len(self._names):
            raise ValueError(f"{len(cells)} cells under {len(self._names)} columns")
        values = dict(zip(self._names, cells, strict=True))
        category, pair_id = self._key(values)
        sample = values.get("sample", "").strip()
        if sample and not (sample.isascii() and sample.isdigit() and len(sample) < 10):
            raise ValueError(f"sample is {_shown(sample)}, which is no number from 0 up")
        score = values["score"].strip()
        if not score:
            return None
        number = float(score.replace(",", ".")) if _NUMBER.fullmatch(score) else math.nan
        if not abs(number) <= _HIGHEST:
            raise ValueError(f"score is {_shown(score)}, which is no number from {-_HIGHEST:g} to {_HIGHEST:g}")
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
                raise ValueError(f"id is {_shown(values['id'])}, not category/pair_id")
            key = category, pair_id
        if not all(key):
            raise ValueError("the name of the pair is empty")
        return key


def _shown(text: str) -> str:
    return f"'{one_line(text, 60)}'"
