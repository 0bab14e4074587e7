"""What ``rounds`` and ``batches`` decide, for the two stages to carry out."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.benchmark.units import EditUnit, ScoreUnit


@dataclass(frozen=True)
class AssignEdit:
    """Send the unit to the editor. ``round`` is None when running free; ``attempt`` counts from 1."""

    editor: str
    unit: EditUnit
    round: int | None
    attempt: int


@dataclass(frozen=True)
class ReleaseRound:
    """Let the editor start its units of this round."""

    editor: str
    round: int


@dataclass(frozen=True)
class Synced:
    """The round is over: all live editors are done with it."""

    round: int


@dataclass(frozen=True)
class WithdrawEdit:
    """Take back a unit that the editor has not started."""

    editor: str
    unit: EditUnit


@dataclass(frozen=True)
class GiveUpEdit:
    """The unit has failed for good. ``deaths``, if any, are the reason: each editor that died alone with its pair."""

    unit: EditUnit
    deaths: tuple[str, ...] = ()


RoundAction = AssignEdit | ReleaseRound | Synced | WithdrawEdit | GiveUpEdit


@dataclass(frozen=True)
class AssignBatch:
    """Send these units to the reward as one batch. ``attempts`` count from 1, in the order of ``units``."""

    reward: str
    batch: int
    units: tuple[ScoreUnit, ...]
    attempts: tuple[int, ...]


@dataclass(frozen=True)
class WithdrawBatch:
    """Take back a batch that the reward has not started."""

    reward: str
    batch: int


@dataclass(frozen=True)
class GiveUpScore:
    """The unit has failed for good. ``deaths``, if any, are the reason: each reward that died alone with its pair."""

    unit: ScoreUnit
    deaths: tuple[str, ...] = ()


BatchAction = AssignBatch | WithdrawBatch | GiveUpScore
