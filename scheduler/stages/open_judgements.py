"""Judgements that consist of several answers: keeps what the answers gave until a judgement is whole."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.benchmark.units import ScoreUnit
from scheduler.stages.judging import Judging, judgement_of
from scheduler.store.rows import AnsweredRow, ScoredRow


class OpenJudgements:
    """The dimensions of each judgement so far."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._dimensions: dict[ScoreUnit, dict[str, float]] = {}

    def add(self, unit: ScoreUnit, row: AnsweredRow, identity: Callable[[ScoreUnit], str]) -> list[ScoredRow]:
        """Take the answer to a question. Return the row of the judgement if this completes it.

        ``identity`` gives the identity of a judgement.
        """
        judgement = judgement_of(unit)
        dimensions = self._dimensions.setdefault(judgement, {})
        dimensions.update(row.dimensions)
        if not self._judging.is_whole(judgement, dimensions):
            return []
        del self._dimensions[judgement]
        return [self._judging.whole(row, dimensions, identity(judgement))]
