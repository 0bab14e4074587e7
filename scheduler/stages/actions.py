"""What ``rounds`` and ``batches`` decide, for the two stages to carry out."""

from __future__ import annotations

from msgspec import Struct

from scheduler.benchmark.units import EditUnit, ScoreUnit


class AssignEdit(Struct, frozen=True):
    """Send the unit to the editor. ``round`` is None when running free; ``attempt`` counts from 1."""

    editor: str
    unit: EditUnit
    round: int | None
    attempt: int


class ReleaseRound(Struct, frozen=True):
    """Let the editor start its units of this round."""

    editor: str
    round: int


class Synced(Struct, frozen=True):
    """The round is over: all live editors are done with it."""

    round: int


class WithdrawEdit(Struct, frozen=True):
    """Take back a unit that the editor has not started."""

    editor: str
    unit: EditUnit


class GiveUpEdit(Struct, frozen=True):
    """The unit has failed for good. ``deaths``, if any, are the reason: each editor that died alone with its pair."""

    unit: EditUnit
    deaths: tuple[str, ...] = ()


RoundAction = AssignEdit | ReleaseRound | Synced | WithdrawEdit | GiveUpEdit


class AssignBatch(Struct, frozen=True):
    """Send these units to the reward as one batch. ``attempts`` count from 1, in the order of ``units``."""

    reward: str
    batch: int
    units: tuple[ScoreUnit, ...]
    attempts: tuple[int, ...]


class WithdrawBatch(Struct, frozen=True):
    """Take back a batch that the reward has not started."""

    reward: str
    batch: int


class GiveUpScore(Struct, frozen=True):
    """The unit has failed for good. ``deaths``, if any, are the reason: each reward that died alone with its pair."""

    unit: ScoreUnit
    deaths: tuple[str, ...] = ()


BatchAction = AssignBatch | WithdrawBatch | GiveUpScore
