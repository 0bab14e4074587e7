"""Results of other runs, by identity (``--reuse``): those that a run may take over in place of making its own.

A result is offered if it counts in its run. A failure is never offered, nor what was withdrawn. What has another
identity, such as an edit of another source image, is never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, structs

from scheduler.base.text import one_line
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.store.results import Expected
from scheduler.store.rows import AnsweredRow, EditedRow, Row, ScoredRow
from scheduler.store.run_directory import thumbnail_path
from scheduler.store.tally import read_tallies

Result = TypeVar("Result", ScoredRow, AnsweredRow)


class OtherRun(Struct, frozen=True):
    """A run whose results may be reused. ``rows`` reads its ledger, and raises ``OSError``."""

    run: str
    path: Path
    title: str
    manifest: Mapping[str, Any]
    expected: Expected
    rows: Callable[[], Iterator[Row]]

    def may_have_edits_of(self, editor: str | None) -> bool:
        """Whether its manifest does not say that other editors than the one with this fingerprint made all of its
        edits. A ledger that nothing can be taken from need not be read.
        """
        earlier = self.manifest.get("earlier_parts")
        parts = [self.manifest, *(earlier if isinstance(earlier, list) else ())]
        known = {
            worker.get("fingerprint")
            for part in parts
            for worker in part.get("workers") or ()
            if worker.get("role") == "editor"
        }
        return editor is None or not known or editor in known

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"run {self.run} ({one_line(self.title, 80)})"


class OfferedEdit(Struct, frozen=True):
    """An edit of another run."""

    run: OtherRun
    row: EditedRow

    @property
    def image(self) -> str:
        """The path of its image, which may be gone."""
        return str(self.run.path / self.row.image)  # an absolute path replaces the run's

    @property
    def thumbnail(self) -> str:
        """The path of its thumbnail, which may be missing."""
        return thumbnail_path(self.run.path, self.row.category, self.row.pair_id, self.row.sample)

    def taken(self, unit: EditUnit, image: str) -> EditedRow:
        """Return the row of the edit in the run that takes it over, where its image has this path."""
        return structs.replace(self.row, **unit._asdict(), round=None, image=image, reused_from=self.run.run)


class Offers:
    """What other runs offer. Of several results with one identity, that of the run that was added first comes first."""

    def __init__(self) -> None:
        self._edits: dict[str, list[OfferedEdit]] = {}
        self._scores: dict[str, tuple[ScoredRow, str]] = {}
        self._answers: dict[str, tuple[AnsweredRow, str]] = {}

    @property
    def scored(self) -> bool:
        """Whether there are judgements or answers among them."""
        return bool(self._scores or self._answers)

    def add(self, run: OtherRun) -> None:
        """Add what counts in this run. Raises ``OSError``: its ledger cannot be read."""
        for tally in read_tallies(run.rows(), run.expected):
            for sample in tally.samples.values():
                if sample.edit is None or sample.withdrawn:
                    continue
                self._edits.setdefault(sample.edit.identity, []).append(OfferedEdit(run, sample.edit))
                for score in sample.scores.values():
                    self._scores.setdefault(score.identity, (score, run.run))
                for answer in sample.answers.values():
                    self._answers.setdefault(answer.identity, (answer, run.run))

    def edits(self, identity: str) -> Iterable[OfferedEdit]:
        """Return the edits with this identity."""
        return self._edits.get(identity, ())

    def score(self, unit: ScoreUnit, identity: str) -> ScoredRow | None:
        """Return the row of the judgement with this identity, for the run that takes it over."""
        found = self._scores.get(identity)
        return None if found is None else _taken(*found, unit)

    def answer(self, unit: ScoreUnit, identity: str) -> AnsweredRow | None:
        """Return the row of the answer with this identity, for the run that takes it over."""
        found = self._answers.get(identity)
        return None if found is None or found[0].question != unit.question else _taken(*found, unit)


def _taken(row: Result, run: str, unit: ScoreUnit) -> Result:
    return structs.replace(row, **unit.edit._asdict(), pass_=unit.pass_, batch=None, reused_from=run)
