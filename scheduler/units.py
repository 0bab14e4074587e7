"""The pieces of work of a run: one edit of a pair, and one judgement of such an edit."""

from __future__ import annotations

from typing import NamedTuple


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
    """One judgement: ``pass_`` counts the judgements of one edit from 0."""

    edit: EditUnit
    pass_: int = 0

    @property
    def key(self) -> str:
        """The pair's key."""
        return self.edit.key

    @property
    def job(self) -> str:
        """The unit's part of an item's name."""
        return f"{self.edit.job}/{self.pass_}"
