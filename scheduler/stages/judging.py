"""What is asked about an edit, and what the answers make: by the config's prompts, or by a benchmark's protocol."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol import messages as m
from scheduler.benchmark.units import EditUnit, ScoreUnit, Units
from scheduler.stages.score_rows import ScoreJob
from scheduler.store.rows import AnsweredRow, FailedRow, ScoredRow


@dataclass(frozen=True)
class Judging(abc.ABC):
    """``passes``: judgements per edit."""

    passes: int

    def judgements(self, edit: EditUnit) -> list[ScoreUnit]:
        """Return the judgements of an edit: one for each pass."""
        return [ScoreUnit(edit, number) for number in range(self.passes)]

    @abc.abstractmethod
    def parts(self, judgement: ScoreUnit) -> list[ScoreUnit]:
        """Return the units of work of a judgement, at least one."""

    def units(self, edit: EditUnit) -> list[ScoreUnit]:
        """Return all units of work of an edit."""
        return [unit for judgement in self.judgements(edit) for unit in self.parts(judgement)]

    @abc.abstractmethod
    def count(self, edits: Units) -> int:
        """Return the number of units of these edits."""

    @abc.abstractmethod
    def item(self, unit: ScoreUnit) -> m.ScoreItem:
        """Return what the reward is sent for the unit."""

    @abc.abstractmethod
    def identity(self, unit: ScoreUnit, image_sha256: str, fingerprint: str) -> str:
        """Return the identity of the unit's result, or of a judgement, about this image by this reward."""

    @abc.abstractmethod
    def row(
        self, job: ScoreJob, unit: ScoreUnit, answers: Sequence[m.Judgement], message: m.Scored, identity: str
    ) -> ScoredRow | AnsweredRow | FailedRow:
        """Return the row of a unit whose batch was judged: its result, or why there is none."""

    # Only where a judgement has several parts:

    def is_whole(self, judgement: ScoreUnit, dimensions: Mapping[str, float]) -> bool:
        """Whether these dimensions, of all answers so far, complete the judgement."""
        raise NotImplementedError

    def whole(self, last: AnsweredRow, dimensions: Mapping[str, float], identity: str) -> ScoredRow:
        """Return the row of a judgement that is whole; ``last`` is the row of its last answer."""
        raise NotImplementedError


def judgement_of(unit: ScoreUnit) -> ScoreUnit:
    """Return the judgement that the unit is a part of."""
    return unit._replace(question="") if unit.question else unit
