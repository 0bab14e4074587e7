"""What is left of a run, by its ledger, and by other runs whose results it may take over.

A result counts if it has the identity that it would get now. Only the ledger's last word on a unit is read. Results
that no longer count are withdrawn in the ledger before anything is done again, so no report ever mixes two settings.
"""

from __future__ import annotations

import abc
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET, Struct, field

from scheduler.base.files import read_file
from scheduler.benchmark.pairs import NO_DETAILS, BadPair, Benchmark, Details, Pair
from scheduler.benchmark.units import EditUnit, ScoreUnit, Units
from scheduler.run.reuse import Offers
from scheduler.run.unfinished import UnfinishedStages
from scheduler.stages.judging import judgement_of
from scheduler.stages.task import Task
from scheduler.store.results import Expected
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, FailureStage, PlannedRow, Row, ScoredRow
from scheduler.store.run_directory import RunDirectory, thumbnail_path
from scheduler.store.tally import OUTDATED, PairTally, SampleTally, read_tallies

NEW = "not done before"
FAILED = "failed before"
OTHER = "made with other settings or weights"
OTHER_SOURCE = "the source image is another"
OTHER_TEXT = "the instruction is another"
NO_IMAGE = "its image is missing"
WRONG_IMAGE = "its image is not the one that was made"
MADE_AGAIN = "its edit is made again"
GONE_THERE = "its image in the other run is missing"
WRONG_THERE = "its image in the other run is not the one that was made"

TakenRow = EditedRow | ScoredRow | AnsweredRow


class Remaining(Struct):
    """What is left to do.

    ``edits`` have to be made; ``delivered`` are made and have to be scored; ``scores`` exist, and count if the edit
    gets the same image again (by its hash), as do the ``answers`` of judgements that are not whole. ``rows`` go
    into the ledger before anything begins; then ``removable`` images are deleted. ``stale`` thumbnails show something
    else by now, and are deleted at once. ``edit_reasons`` and ``score_reasons`` say why units are left, ``missing`` why
    edits can be neither made nor scored. ``complete_scores`` are the reused scores of edits with nothing left to be
    done; the others are looked at again when their edit is scored. ``sums``: count and sum of the reused scores, by
    category. ``taken_edits`` and ``taken_scores`` count what was taken over from other runs, by their ids.
    """

    edits: Units = ()
    delivered: list[tuple[EditUnit, str]] = field(default_factory=list)
    scores: dict[ScoreUnit, str] = field(default_factory=dict)
    answers: dict[ScoreUnit, AnsweredRow] = field(default_factory=dict)
    reused_edits: int = 0
    reused_scores: int = 0
    complete_scores: int = 0
    units_of_reused_edits: int = 0
    rows: Iterable[Row] = ()
    removable: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    edit_reasons: Counter[str] = field(default_factory=Counter)
    score_reasons: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    sums: dict[str, tuple[int, float]] = field(default_factory=dict)
    taken_edits: Counter[str] = field(default_factory=Counter)
    taken_scores: Counter[str] = field(default_factory=Counter)


@dataclasses.dataclass
class Planner(abc.ABC):
    """Works out what is left of a run, from its ledger and its images.

    ``reward`` is the loaded reward's fingerprint, None if this part of the run has no reward. ``offers`` are results of
    other runs.
    """

    benchmark: Benchmark
    task: Task
    directory: RunDirectory
    expected: Expected
    reward: str | None = dataclasses.field(kw_only=True)
    offers: Offers = dataclasses.field(kw_only=True, default_factory=Offers)
    _edits: list[EditUnit] = dataclasses.field(init=False, default_factory=list)
    _rows: list[Row] = dataclasses.field(init=False, default_factory=list)
    _taken: list[Row] = dataclasses.field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._remaining = Remaining(edits=self._edits, rows=self._rows)

    def remaining(self, rows: Iterable[Row]) -> Remaining:
        """What is left, given all rows of the ledger.

        Raises:
            OSError: an image exists and cannot be read.
        """
        unfinished = UnfinishedStages()
        tallies = {
            (tally.category, tally.pair_id): tally for tally in read_tallies(unfinished.pass_on(rows), self.expected)
        }
        self._rows += unfinished.rows()
        for item in self.benchmark.items:
            tally = tallies.pop((item.category, item.pair_id), None) or PairTally(item.category, item.pair_id)
            if isinstance(item, Pair):
                self._remaining.stale += [
                    thumbnail_path(self.directory.path, item.category, item.pair_id, name)
                    for name in changed_images(tally.planned, item)
                ]
                for number in range(self.expected.samples_per_pair):
                    unit = EditUnit(item.category, item.pair_id, number)
                    self._look_at(unit, tally.samples.get(number) or SampleTally())
            # After the rows that withdraw results: if only some reach the disk, no result belongs to another pair.
            planned = list(planned_rows(item, sharded=self.benchmark.shard is not None))
            if tally.planned != planned[0] or (tally.load_failure is None) != isinstance(item, Pair):
                self._rows += planned
            # These belong to the pair as it is planned now.
            self._rows += self._taken
            self._taken.clear()
        self._remaining.left_out = list(tallies)
        return self._remaining

    @abc.abstractmethod
    def _look_at(self, unit: EditUnit, sample: SampleTally) -> None:
        """Work out what is left of this sample."""

    def _counting_scores(self, unit: EditUnit, sample: SampleTally, image_sha256: str) -> Counting:
        """The results about this image that count; without a reward, all. Withdraws the others, and takes over what
        other runs offer.
        """
        counting = Counting()
        judging = self.task.judging
        asked_now = {*judging.judgements(unit), *judging.units(unit)}

        def counts(asked: ScoreUnit, identity: str) -> bool:
            if self.reward is None:
                return True
            if asked in asked_now and identity == judging.identity(asked, image_sha256, self.reward):
                return True
            self._rows.append(outdated(unit, "score", OTHER, pass_=asked.pass_, question=asked.question or None))
            return False

        for number, score in sorted(sample.scores.items()):
            asked = ScoreUnit(unit, number)
            if counts(asked, score.identity):
                counting.scores[asked] = score
        for of, answer in sorted(sample.answers.items()):
            asked = ScoreUnit(unit, *of)
            if counts(asked, answer.identity):
                counting.answers[asked] = answer
        self._add_offered(unit, image_sha256, counting)
        return counting

    def _add_offered(self, unit: EditUnit, image_sha256: str, counting: Counting) -> None:
        """Add the results of other runs about this image that count and that the run itself does not have."""
        reward, judging = self.reward, self.task.judging
        if reward is None or not self.offers.scored:
            return
        for judgement in judging.judgements(unit):
            if judgement in counting.scores:
                continue
            for asked in judging.parts(judgement):
                if asked.question and asked not in counting.answers:
                    answer = self.offers.answer(asked, judging.identity(asked, image_sha256, reward))
                    if answer is not None:
                        counting.answers[asked] = answer
                        counting.offered.append(answer)
            score = self.offers.score(judgement, judging.identity(judgement, image_sha256, reward))
            if score is not None:
                counting.scores[judgement] = score
                counting.offered.append(score)

    def _reuse(self, unit: EditUnit, sample: SampleTally, image_sha256: str, counting: Counting) -> bool:
        """Reuse an edit and what counts of its results; False if something about it is left to be done."""
        remaining, judging = self._remaining, self.task.judging
        self._take(counting.offered)
        units = judging.units(unit)
        missing = [asked for asked in units if not counting.has(asked)]
        remaining.reused_edits += 1
        remaining.units_of_reused_edits += len(units)
        remaining.reused_scores += len(units) - len(missing)
        count, total = remaining.sums.get(unit.category, (0, 0.0))
        scores = [row.score for row in counting.scores.values()]
        remaining.sums[unit.category] = (count + len(scores), total + sum(scores))
        if self._is_complete(unit, counting):
            remaining.complete_scores += len(units)
            return True
        self._keep(counting)
        remaining.delivered.append((unit, image_sha256))
        for asked in missing:
            failed = FAILED if (asked.pass_, asked.question or None) in sample.score_failures else NEW
            remaining.score_reasons[OTHER if _had(sample, asked) else failed] += 1
        return False

    def _take(self, rows: Iterable[TakenRow]) -> None:
        """Take these rows of other runs over."""
        for row in rows:
            self._taken.append(row)
            kind = self._remaining.taken_edits if isinstance(row, EditedRow) else self._remaining.taken_scores
            kind[str(row.reused_from)] += not isinstance(row, AnsweredRow)

    def _is_complete(self, unit: EditUnit, counting: Counting) -> bool:
        """Whether every judgement of the edit is there."""
        return all(judgement in counting.scores for judgement in self.task.judging.judgements(unit))

    def _keep(self, counting: Counting) -> None:
        self._remaining.scores |= {judgement: row.identity for judgement, row in counting.scores.items()}
        whole = counting.scores
        self._remaining.answers |= {
            asked: row for asked, row in counting.answers.items() if judgement_of(asked) not in whole
        }


class Counting(Struct):
    """The results of one edit that count: judgements, and answers. ``offered`` are those of other runs among them."""

    scores: dict[ScoreUnit, ScoredRow] = field(default_factory=dict)
    answers: dict[ScoreUnit, AnsweredRow] = field(default_factory=dict)
    offered: list[ScoredRow | AnsweredRow] = field(default_factory=list)

    def has(self, unit: ScoreUnit) -> bool:
        """Whether the unit has nothing left to be done."""
        return judgement_of(unit) in self.scores or unit in self.answers


def _had(sample: SampleTally, unit: ScoreUnit) -> bool:
    """Whether the ledger has a result of this unit, which then does not count."""
    return (unit.pass_, unit.question) in sample.answers if unit.question else unit.pass_ in sample.scores


def planned_rows(item: Pair | BadPair, *, sharded: bool) -> Iterator[Row]:
    """The ledger's rows of a pair: it is planned, and has failed if it cannot be used."""
    yield PlannedRow(
        category=item.category,
        pair_id=item.pair_id,
        source_sha256=item.sha256 if isinstance(item, Pair) else None,
        instruction=item.instruction,
        description=item.description,
        reference=item.reference if isinstance(item, Pair) else None,
        **_details(item.details if isinstance(item, Pair) else NO_DETAILS),
        position=item.index if sharded else UNSET,
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


def _details(details: Details) -> dict[str, Any]:
    return {
        "images": {name: image.sha256 for name, image in details.images.items()} or None,
        "language": details.language,
        "task": details.task,
        "subsets": list(details.subsets) or None,
        "facts": dict(details.facts) or None,
    }


def changed_images(planned: PlannedRow | None, pair: Pair) -> list[str]:
    """Return the names of those images of the pair that are not what was planned."""
    if planned is None:
        return []
    before = {"source": planned.source_sha256, **(planned.images or {})}
    now = {"source": pair.sha256, **{name: image.sha256 for name, image in pair.details.images.items()}}
    return [name for name, sha256 in now.items() if before.get(name) not in (None, sha256)]


def image_state(path: str, sha256: str) -> str:
    """``right``, ``wrong`` or ``missing``: whether the file has these bytes.

    Raises:
        OSError: it exists and cannot be read.
    """
    try:
        return "right" if hashlib.sha256(read_file(path)).hexdigest() == sha256 else "wrong"
    except FileNotFoundError:
        return "missing"


def outdated(
    unit: EditUnit, stage: FailureStage, reason: str, *, pass_: int | None = None, question: str | None = None
) -> FailedRow:
    """The row that withdraws a result."""
    return FailedRow(
        category=unit.category,
        pair_id=unit.pair_id,
        sample=unit.sample,
        pass_=pass_,
        question=question,
        stage=stage,
        kind=OUTDATED,
        message=reason,
    )
