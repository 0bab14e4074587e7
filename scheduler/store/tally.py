"""What the ledger says about one pair, row after row: which result or failure of each unit of work counts.

A unit is one edit (a sample) or one score (a sample and a pass). The latest row counts, but the first result for an
identity stays: a result replaces a failure, and a result or failure for another identity (work that was done again,
because something it depends on changed) replaces the result before it. An edit with another image, or an edit that
fails for another identity, removes the scores of the old image. A failure of kind ``outdated`` withdraws a result: the
unit is missing until it is done again. The scores of a withdrawn edit come back with an edit of the same bytes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

from msgspec import Struct, field

from scheduler.statistics.describe import mean
from scheduler.store.results import AnswerResult, Expected, Failure, PairResult, PairStatus, SampleResult, ScoreResult
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, PlannedRow, Row, ScoredRow, StageRow

OUTDATED = "outdated"
"""The kind of a ``failed`` row that withdraws a result which an earlier part of a run had."""


class SampleTally(Struct):
    """One edit of a pair, and its scores by pass. A ``withdrawn`` edit is kept for comparison only.

    ``answers`` are those to a protocol's questions, by pass and question; failures have no question where there is
    none. ``planned`` is the pair as it was when the edit was made.
    """

    edit: EditedRow | None = None
    planned: PlannedRow | None = None
    withdrawn: bool = False
    edit_failure: Failure | None = None
    scores: dict[int, ScoredRow] = field(default_factory=dict)
    answers: dict[tuple[int, str], AnsweredRow] = field(default_factory=dict)
    score_failures: dict[tuple[int, str | None], Failure] = field(default_factory=dict)

    def forget_scores(self) -> None:
        self.scores.clear()
        self.answers.clear()
        self.score_failures.clear()

    def withdraw(self) -> None:
        self.withdrawn = self.edit is not None
        self.edit_failure = None
        self.score_failures.clear()

    def is_scored(self, expected: Expected) -> bool:
        edited = not self.withdrawn and not (self.edit is None and self.edit_failure)
        return edited and len(self.scores) == expected.reward_passes

    def is_done(self, expected: Expected) -> bool:
        return self.is_scored(expected) if "score" in expected.stages else self.edit is not None and not self.withdrawn

    def failures(self, expected: Expected) -> list[Failure]:
        """The failures that count. A later failure of an edit that exists counts only while the sample is not done."""
        failures = list(self.score_failures.values()) if "score" in expected.stages else []
        if self.edit_failure is not None and (self.edit is None or not self.is_done(expected)):
            failures.insert(0, self.edit_failure)
        return failures


class PairTally(Struct):
    """One pair, after the rows of the ledger so far. Samples and passes beyond the expected ones are ignored."""

    category: str
    pair_id: str
    planned: PlannedRow | None = None
    load_failure: Failure | None = None
    samples: dict[int, SampleTally] = field(default_factory=dict)

    def plan(self, row: PlannedRow) -> None:
        """Take a ``planned`` row; one with a source means that the pair has loaded."""
        self.planned = row
        if row.source_sha256 is not None:
            self.load_failure = None

    def edited(self, row: EditedRow, expected: Expected) -> None:
        self.load_failure = None
        if not 0 <= row.sample < expected.samples_per_pair:
            return
        sample = self._sample(row.sample)
        sample.edit_failure = None
        if sample.edit is not None:
            if sample.edit.identity == row.identity and not sample.withdrawn:
                return
            if sample.edit.sha256 != row.sha256:
                sample.forget_scores()
        sample.withdrawn = False
        sample.edit = row
        sample.planned = self.planned

    def scored(self, row: ScoredRow, expected: Expected) -> None:
        self.load_failure = None
        if not (0 <= row.sample < expected.samples_per_pair and 0 <= row.pass_ < expected.reward_passes):
            return
        sample = self._sample(row.sample)
        _forget_failures(sample, row.pass_)
        known = sample.scores.get(row.pass_)
        if known is None or known.identity != row.identity:
            sample.scores[row.pass_] = row

    def answered(self, row: AnsweredRow, expected: Expected) -> None:
        if not (0 <= row.sample < expected.samples_per_pair and 0 <= row.pass_ < expected.reward_passes):
            return
        sample = self._sample(row.sample)
        sample.score_failures.pop((row.pass_, row.question), None)
        known = sample.answers.get((row.pass_, row.question))
        if known is None or known.identity != row.identity:
            sample.answers[row.pass_, row.question] = row

    def failed(self, row: FailedRow, expected: Expected) -> None:
        failure = Failure(
            category=self.category,
            pair_id=self.pair_id,
            stage=row.stage,
            kind=row.kind,
            message=row.message,
            sample=row.sample,
            pass_=row.pass_,
            question=row.question,
        )
        if row.stage == "load":
            self.load_failure = failure
            return
        for number in _concerned(row.sample, expected.samples_per_pair):
            sample = self._sample(number)
            if row.stage == "edit":
                if row.kind == OUTDATED:
                    sample.withdraw()
                else:
                    _edit_failed(sample, failure, row.identity)
            else:
                for pass_ in _concerned(row.pass_, expected.reward_passes):
                    if row.kind != OUTDATED:
                        _score_failed(sample, pass_, failure, row.identity)
                    elif row.question is not None:
                        sample.answers.pop((pass_, row.question), None)
                        sample.score_failures.pop((pass_, row.question), None)
                    else:
                        sample.scores.pop(pass_, None)
                        _forget_failures(sample, pass_)

    def failures(self, expected: Expected) -> list[Failure]:
        """Every failure that counts, once each, in the order of the samples."""
        failures = [] if self.load_failure is None else [self.load_failure]
        for _, sample in sorted(self.samples.items()):
            failures += sample.failures(expected)
        return list(dict.fromkeys(failures))

    def result(self, expected: Expected) -> PairResult:
        """The pair's result so far. Its score is the mean over samples of the mean over passes."""
        status = self._status(expected)
        samples = tuple(
            _sample_result(number, sample, expected)
            for number, sample in sorted(self.samples.items())
            if not sample.withdrawn and (sample.edit is not None or sample.scores)
        )
        scores = [sample.score for sample in samples if sample.score is not None]
        planned = self.planned
        return PairResult(
            category=self.category,
            pair_id=self.pair_id,
            source_sha256=planned.source_sha256 if planned else None,
            instruction=planned.instruction if planned else None,
            description=planned.description if planned else None,
            status=status,
            score=mean(scores) if status == "scored" else None,
            dimensions=None,
            reference=planned.reference if planned else None,
            language=planned.language if planned else None,
            task=planned.task if planned else None,
            subsets=tuple(planned.subsets) if planned and planned.subsets else None,
            facts=planned.facts if planned else None,
            images=planned.images if planned else None,
            samples=samples,
        )

    def _status(self, expected: Expected) -> PairStatus:
        if self.failures(expected):
            return "failed"
        complete = len(self.samples) == expected.samples_per_pair
        if complete and all(sample.is_scored(expected) for sample in self.samples.values()):
            return "scored"
        if complete and all(sample.is_done(expected) for sample in self.samples.values()):
            return "edited"
        return "missing"

    def _sample(self, number: int) -> SampleTally:
        return self.samples.setdefault(number, SampleTally())


def _edit_failed(sample: SampleTally, failure: Failure, identity: str | None) -> None:
    sample.edit_failure = failure
    if sample.withdrawn or (sample.edit is not None and identity not in (None, sample.edit.identity)):
        sample.edit = None
        sample.withdrawn = False
    if sample.edit is None:
        sample.forget_scores()


def _score_failed(sample: SampleTally, pass_: int, failure: Failure, identity: str | None) -> None:
    unit = (pass_, failure.question)
    known = sample.scores.get(pass_) if failure.question is None else sample.answers.get((pass_, failure.question))
    if known is not None and identity in (None, known.identity):
        return
    if failure.question is not None:
        sample.answers.pop((pass_, failure.question), None)
    # A judgement whose question failed anew is not whole any more.
    sample.scores.pop(pass_, None)
    sample.score_failures[unit] = failure


def _forget_failures(sample: SampleTally, pass_: int) -> None:
    """Drop all failures of this pass."""
    for unit in [unit for unit in sample.score_failures if unit[0] == pass_]:
        del sample.score_failures[unit]


def _concerned(number: int | None, count: int) -> range:
    """The sample or pass with this number, if it is expected; all of them if no number is given."""
    if number is None:
        return range(count)
    return range(number, number + 1) if 0 <= number < count else range(0)


def _sample_result(number: int, sample: SampleTally, expected: Expected) -> SampleResult:
    edit = sample.edit
    scores = tuple(_score_result(row) for _, row in sorted(sample.scores.items()))
    return SampleResult(
        sample=number,
        seed=edit.seed if edit else None,
        image=edit.image if edit else None,
        sha256=edit.sha256 if edit else None,
        size=edit.size if edit else None,
        worker=_shared(edit.worker) if edit else None,
        device=_shared(edit.device) if edit else None,
        round=edit.round if edit else None,
        edit_device_seconds=_device_seconds(edit) if edit else None,
        score=mean([score.score for score in scores]) if sample.is_scored(expected) else None,
        scores=scores,
        answers=tuple(_answer_result(row) for _, row in sorted(sample.answers.items())),
    )


def _answer_result(row: AnsweredRow) -> AnswerResult:
    return AnswerResult(
        pass_=row.pass_,
        question=sys.intern(row.question),
        response=row.response,
        dimensions=row.dimensions,
        worker=_shared(row.worker),
        device=_shared(row.device),
        batch=row.batch,
        batch_device_seconds=_device_seconds(row),
        usage=row.usage,
    )


def _score_result(row: ScoredRow) -> ScoreResult:
    return ScoreResult(
        pass_=row.pass_,
        score=row.score,
        aspects=row.aspects,
        dimensions=row.aspects if row.dimensions is None else row.dimensions,
        response=row.response,
        method=sys.intern(row.method),
        worker=_shared(row.worker),
        device=_shared(row.device),
        batch=row.batch,
        batch_device_seconds=_device_seconds(row),
        usage=row.usage,
    )


def _device_seconds(row: EditedRow | AnsweredRow | ScoredRow) -> float | None:
    if row.started is None or row.finished is None or not math.isfinite(row.finished - row.started):
        return None
    return row.finished - row.started


def _shared(name: str | None) -> str | None:
    """One string for all rows with the same worker or device; a ledger may have 100,000 of them."""
    return None if name is None else sys.intern(name)


def read_tallies(rows: Iterable[Row], expected: Expected) -> list[PairTally]:
    """Return the pairs in the order of their first ``planned`` rows; pairs that were never planned come last."""
    tallies: dict[tuple[str, str], PairTally] = {}
    planned: dict[tuple[str, str], PairTally] = {}
    for row in rows:
        if isinstance(row, StageRow):
            continue
        key = (row.category, row.pair_id)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = PairTally(*key)
        match row:
            case PlannedRow():
                planned.setdefault(key, tally)
                tally.plan(row)
            case EditedRow():
                tally.edited(row, expected)
            case AnsweredRow():
                tally.answered(row, expected)
            case ScoredRow():
                tally.scored(row, expected)
            case FailedRow():
                tally.failed(row, expected)
    return list((planned | tallies).values())
