"""Going on with a run: what of it still counts, what is done again, and why.

A result counts if it has the identity that it would get now. What the ledger says last about a unit is all that is
looked at. Results that no longer count are withdrawn in the ledger before anything is done again, so that no report
ever mixes two settings.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from scheduler.benchmark.model import BadPair, Benchmark, Pair
from scheduler.files import read_file
from scheduler.ledger_rows import EditedRow, FailedRow, FailureStage, Planned, Row, ScoredRow, StageRow
from scheduler.report import OUTDATED, Expected, PairTally, read_tallies
from scheduler.run_directory import RunDirectory
from scheduler.services import EditedImage, StageClock
from scheduler.task import Task
from scheduler.units import AllEdits, EditUnit, ScoreUnit, Units

NEW = "not done before"
FAILED = "failed before"
OTHER = "made with other settings or weights"
OTHER_SOURCE = "the source image is another"
OTHER_TEXT = "the instruction is another"
NO_IMAGE = "its image is missing"
WRONG_IMAGE = "its image is not the one that was made"
MADE_AGAIN = "its edit is made again"


@dataclass
class Remaining:
    """What is left to do. ``edits`` are to be made; ``delivered`` are there, and to be scored; ``scores`` are there and
    count if the image (by its hash) comes out as it was. ``rows`` go into the ledger before anything begins, then
    ``removable`` images are nobody's any more. ``edit_reasons`` and ``score_reasons`` tell why things are left.
    """

    edits: Units = ()
    delivered: list[tuple[EditUnit, EditedImage]] = field(default_factory=list)
    scores: dict[ScoreUnit, str] = field(default_factory=dict)
    reused_edits: int = 0
    reused_scores: int = 0
    rows: Iterable[Row] = ()
    removable: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    edit_reasons: Counter[str] = field(default_factory=Counter)
    score_reasons: Counter[str] = field(default_factory=Counter)


class Resumption:
    """Works out what remains of a run, from its ledger and the images that it has left."""

    def __init__(
        self,
        benchmark: Benchmark,
        task: Task,
        directory: RunDirectory,
        expected: Expected,
        *,
        editor: str,
        reward: str,
        keep_images: bool,
    ) -> None:
        """``editor`` and ``reward`` are the fingerprints of the models as they are loaded now."""
        self._benchmark = benchmark
        self._task = task
        self._directory = directory
        self._expected = expected
        self._editor, self._reward = editor, reward
        self._keep_images = keep_images
        self._edits: list[EditUnit] = []
        self._rows: list[Row] = []
        self._found = Remaining(edits=self._edits, rows=self._rows)

    def remaining(self, rows: Iterable[Row]) -> Remaining:
        """What is left, given all rows of the ledger.

        Raises:
            OSError: an image is there and can't be read.
        """
        unfinished = UnfinishedStages()
        tallies = {
            (tally.category, tally.pair_id): tally for tally in read_tallies(unfinished.pass_on(rows), self._expected)
        }
        found = self._found
        self._rows += unfinished.rows()
        for item in self._benchmark.items:
            tally = tallies.pop((item.category, item.pair_id), None) or PairTally(item.category, item.pair_id)
            self._plan(item, tally)
            if isinstance(item, Pair):
                for sample in range(self._expected.samples_per_pair):
                    self._look_at(item, EditUnit(item.category, item.pair_id, sample), tally)
        found.left_out = list(tallies)
        return found

    def _plan(self, item: Pair | BadPair, tally: PairTally) -> None:
        rows = list(planned_rows(item))
        if tally.planned == rows[0] and (tally.load_failure is None) == isinstance(item, Pair):
            return
        self._rows += rows

    def _look_at(self, pair: Pair, unit: EditUnit, tally: PairTally) -> None:
        found = self._found
        sample = tally.samples.get(unit.sample)
        if sample is None or sample.edit is None:
            failed = sample is not None and sample.edit_failure is not None
            self._make(unit, FAILED if failed else NEW)
            return
        edit = sample.edit
        passes = [ScoreUnit(unit, number) for number in range(self._expected.reward_passes)]
        counting: dict[ScoreUnit, str] = {}
        for one in passes:
            score = sample.scores.get(one.pass_)
            if score is None:
                continue
            identity = self._task.score_identity(one, edit.sha256, self._reward)
            if score.identity == identity:
                counting[one] = identity
            else:
                self._rows.append(_outdated(unit, "score", OTHER, pass_=one.pass_))
        reason = OTHER if sample.withdrawn else self._why_not(pair, unit, tally, edit.identity)
        path = self._directory.image_path(unit.category, unit.pair_id, unit.sample)
        if reason is None and (self._keep_images or len(counting) < len(passes)):
            recorded = edit.image == self._directory.recorded(path)
            state = image_state(path, edit.sha256) if recorded else "missing"
            if state == "wrong":
                reason = WRONG_IMAGE
            elif state == "missing" and len(counting) < len(passes):
                reason = NO_IMAGE
        if reason is not None:
            if not sample.withdrawn:
                self._rows.append(_outdated(unit, "edit", reason))
            found.scores |= counting
            self._make(unit, reason)
            return
        found.reused_edits += 1
        found.reused_scores += len(counting)
        if len(counting) == len(passes):
            if not self._keep_images:
                found.removable.append(path)
            return
        found.scores |= counting
        found.delivered.append((unit, EditedImage(path, edit.sha256)))
        for one in passes:
            if one not in counting:
                known = one.pass_ in sample.scores
                failed = one.pass_ in sample.score_failures
                found.score_reasons[OTHER if known else FAILED if failed else NEW] += 1

    def _why_not(self, pair: Pair, unit: EditUnit, tally: PairTally, identity: str) -> str | None:
        if identity == self._task.edit_identity(unit, self._editor):
            return None
        planned = tally.planned
        if planned is not None and planned.source_sha256 not in (None, pair.sha256):
            return OTHER_SOURCE
        if planned is not None and planned.instruction not in (None, pair.instruction):
            return OTHER_TEXT
        return OTHER

    def _make(self, unit: EditUnit, reason: str) -> None:
        self._edits.append(unit)
        self._found.edit_reasons[reason] += 1
        self._found.score_reasons[NEW if reason in (NEW, FAILED) else MADE_AGAIN] += self._expected.reward_passes


def from_the_beginning(benchmark: Benchmark, samples_per_pair: int) -> Remaining:
    """All that there is to do in a new run."""
    edits = AllEdits(benchmark.pairs, samples_per_pair)
    return Remaining(edits=edits, rows=(row for item in benchmark.items for row in planned_rows(item)))


def planned_rows(item: Pair | BadPair) -> Iterator[Row]:
    """The ledger's rows of a pair as the benchmark has it: it is planned, and failed if it can't be used."""
    yield Planned(
        category=item.category,
        pair_id=item.pair_id,
        source_sha256=item.sha256 if isinstance(item, Pair) else None,
        instruction=item.instruction,
        description=item.description,
    )
    if isinstance(item, BadPair):
        yield FailedRow(
            category=item.category,
            pair_id=item.pair_id,
            sample=None,
            stage="load",
            kind=item.kind,
            message=item.message,
        )


def summary(found: Remaining) -> list[str]:
    """What is reused and what is done, and why, for people."""
    edits = found.reused_edits + len(found.edits)
    left = sum(found.score_reasons.values())
    lines = [
        f"Reused: {found.reused_edits} of {edits} edits, {found.reused_scores} of {found.reused_scores + left} scores"
    ]
    for what, reasons in (("edit", found.edit_reasons), ("score", found.score_reasons)):
        if reasons:
            told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            lines.append(f"To {what}: {sum(reasons.values())} ({told})")
    if found.left_out:
        lines.append(f"Left out: {len(found.left_out)} pairs of the ledger that this run does not ask for")
    return lines


def image_state(path: str, sha256: str) -> str:
    """``right``, ``wrong`` or ``missing``: whether the file has these bytes.

    Raises:
        OSError: it is there and can't be read.
    """
    try:
        return "right" if hashlib.sha256(read_file(path)).hexdigest() == sha256 else "wrong"
    except FileNotFoundError:
        return "missing"


class UnfinishedStages:
    """The stages of a part that was killed before it could write their rows, as far as its results tell."""

    def __init__(self) -> None:
        self._clocks: dict[FailureStage, StageClock] = {}
        self._rounds: set[int] = set()
        self._batches: set[tuple[str | None, float]] = set()

    def pass_on(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Watch the rows go by."""
        for row in rows:
            match row:
                case StageRow():
                    self._clocks.pop(row.stage, None)
                    if row.stage == "edit":
                        self._rounds.clear()
                    else:
                        self._batches.clear()
                case EditedRow():
                    if row.round is not None:
                        self._rounds.add(row.round)
                    self._worked("edit", row.worker, row.started, row.finished)
                case ScoredRow() if row.started is not None and (row.worker, row.started) not in self._batches:
                    self._batches.add((row.worker, row.started))
                    self._worked("score", row.worker, row.started, row.finished)
                case _:
                    pass
            yield row

    def rows(self) -> list[StageRow]:
        """Their rows; what was waited for at barriers, and moves of models, are not known."""
        found = []
        for stage, clock in self._clocks.items():
            clock.rounds = len(self._rounds) if stage == "edit" else 0
            found.append(clock.row(stage, switches=0, switch_seconds=0.0, now=clock.finished or 0.0))
        return found

    def _worked(self, stage: FailureStage, worker: str | None, started: float | None, finished: float | None) -> None:
        if worker is not None and started is not None and finished is not None:
            self._clocks.setdefault(stage, StageClock()).worked(worker, started, finished)


def _outdated(unit: EditUnit, stage: FailureStage, reason: str, *, pass_: int | None = None) -> FailedRow:
    return FailedRow(
        category=unit.category,
        pair_id=unit.pair_id,
        sample=unit.sample,
        pass_=pass_,
        stage=stage,
        kind=OUTDATED,
        message=reason,
    )
