"""The units of work of a run: one edit of a pair, and one judgement of an edit. A unit is made when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scheduler.benchmark.pairs import Pair


class EditUnit(NamedTuple):
    """One edit: ``sample`` counts the seeds of a pair from 0."""

    category: str
    pair_id: str
    sample: int = 0

    @property
    def key(self) -> str:
        """The pair's key."""
        return f"{self.category}/{self.pair_id}"

    @property
    def job(self) -> str:
        """The unit's part of a job's name."""
        return f"{self.key}/{self.sample}"


class ScoreUnit(NamedTuple):
    """One judgement: ``pass_`` counts the judgements of one edit from 0.

    Where a protocol judges, each judgement consists of the answers to its questions, and a unit is one ``question``
    (its name). Elsewhere there is none.
    """

    edit: EditUnit
    pass_: int = 0
    question: str = ""

    @property
    def key(self) -> str:
        """The pair's key."""
        return self.edit.key

    @property
    def job(self) -> str:
        """The unit's part of an item's name."""
        return f"{self.edit.job}/{self.pass_}" + (f"/{self.question}" if self.question else "")


Units = Sequence[EditUnit]
"""Edits in their order."""


class AllEdits(Units):
    """All edits of these pairs: every sample of the first pair, then of the next. Each is made when needed."""

    def __init__(self, pairs: Sequence[Pair], samples: int = 1) -> None:
        self._pairs = pairs
        self._samples = samples

    def __len__(self) -> int:
        return len(self._pairs) * self._samples

    def __getitem__(self, place: int) -> EditUnit:  # type: ignore[override] # nobody takes slices
        number, sample = divmod(place, self._samples)
        pair = self._pairs[number]
        return EditUnit(pair.category, pair.pair_id, sample)
