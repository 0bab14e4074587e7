"""The valid results of a ledger, worked out row by row, independently of the product's own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Row = Mapping[str, Any]

OUTDATED = "outdated"
"""The kind of a ``failed`` row that takes a result back."""


class Unit(NamedTuple):
    """An edit of a pair."""

    category: str
    pair_id: str
    sample: int

    @classmethod
    def of(cls, row: Row) -> Unit:
        """The unit that a row is about."""
        return cls(row["category"], row["pair_id"], row["sample"])

    def __str__(self) -> str:
        return f"{self.category}/{self.pair_id}#{self.sample}"


@dataclass
class Standing:
    """The valid results of a unit. ``lines`` are the line numbers of their rows, from 1."""

    edit: Row | None = None
    withdrawn: bool = False
    edit_line: int = 0
    edit_failure: Row | None = None
    scores: dict[int, Row] = field(default_factory=dict)
    score_lines: dict[int, int] = field(default_factory=dict)
    score_failures: dict[int, Row] = field(default_factory=dict)

    def is_scored(self, passes: int) -> bool:
        """Whether every pass has a score, and the edit is valid."""
        return self.edit is not None and not self.withdrawn and set(self.scores) == set(range(passes))

    def is_settled_by(self, lines: int, passes: int) -> bool:
        """Whether all that stands was there already when the ledger had so many lines: what became of the image
        afterwards does not matter any more.
        """
        return self.is_scored(passes) and max(self.edit_line, *self.score_lines.values()) <= lines

    def outcome(self, passes: int) -> tuple[str | None, str | None]:
        """``(None, None)`` for a scored unit, else stage and kind of its failure, or ``(None, "missing")``."""
        if self.is_scored(passes):
            return None, None
        failures = self.failures(passes)
        return (failures[0]["stage"], failures[0]["kind"]) if failures else (None, "missing")

    def failures(self, passes: int) -> list[Row]:
        """The failures that a report has to name."""
        if self.is_scored(passes):
            return []
        of_scores = [] if self.withdrawn else list(self.score_failures.values())
        return [row for row in (self.edit_failure, *of_scores) if row is not None]

    def take_edit(self, row: Row, line: int) -> None:
        """The first result of an identity counts; another identity replaces it."""
        self.edit_failure = None
        if self.edit is not None and self.edit["identity"] == row["identity"] and not self.withdrawn:
            return
        self.withdrawn = False
        if self.edit is None or self.edit["sha256"] != row["sha256"]:
            self._forget_scores()
        self.edit, self.edit_line = row, line

    def take_score(self, row: Row, line: int) -> None:
        """Likewise."""
        number = row["pass"]
        self.score_failures.pop(number, None)
        if number not in self.scores or self.scores[number]["identity"] != row["identity"]:
            self.scores[number], self.score_lines[number] = row, line

    def take_failure(self, row: Row) -> None:
        """A failure counts where there is no result that it does not concern; one of kind ``outdated`` takes a result
        back, which is missing until it is made again. An edit of the same bytes brings its scores back.
        """
        if row["kind"] == OUTDATED:
            self._withdraw(row)
            return
        if row["stage"] == "score":
            known = self.scores.get(row["pass"])
            if known is None or row["identity"] not in (None, known["identity"]):
                self.scores.pop(row["pass"], None)
                self.score_lines.pop(row["pass"], None)
                self.score_failures[row["pass"]] = row
            return
        self.edit_failure = row
        if self.withdrawn or (self.edit is not None and row["identity"] not in (None, self.edit["identity"])):
            self.edit, self.withdrawn = None, False
        if self.edit is None:
            self._forget_scores()

    def _withdraw(self, row: Row) -> None:
        if row["stage"] == "score":
            for found in (self.scores, self.score_lines, self.score_failures):
                found.pop(row["pass"], None)
        else:
            self.withdrawn = self.edit is not None
            self.edit_failure = None

    def _forget_scores(self) -> None:
        self.scores.clear()
        self.score_lines.clear()
        self.score_failures.clear()


def stand(rows: Iterable[Row]) -> dict[Unit, Standing]:
    """The valid results of the rows. A pair that failed to load is listed as sample 0 and every sample with rows."""
    found: dict[Unit, Standing] = {}
    for line, row in enumerate(rows, 1):
        match row["event"]:
            case "edited":
                found.setdefault(Unit.of(row), Standing()).take_edit(row, line)
            case "scored":
                found.setdefault(Unit.of(row), Standing()).take_score(row, line)
            case "failed":
                sample = row["sample"] if row["sample"] is not None else 0
                found.setdefault(Unit(row["category"], row["pair_id"], sample), Standing()).take_failure(row)
    return found
