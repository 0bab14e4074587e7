"""Judging by a benchmark's protocol: one unit per question, whose answers together make the item's score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from protocol import messages as m
from scheduler.base.text import counted
from scheduler.benchmark import Pair
from scheduler.benchmark.units import ScoreUnit, Units
from scheduler.protocols.declaration import ItemFacts, UnreadableReply
from scheduler.protocols.facts import facts_of
from scheduler.protocols.prepared import PreparedProtocol
from scheduler.stages.identity import answer_identity, judged_identity
from scheduler.stages.judging import Judging
from scheduler.stages.score_rows import ScoreJob, failed_score, result_fields, unanswered, with_reply
from scheduler.store.rows import AnsweredRow, FailedRow, ScoredRow

_REMEMBERED = 512
"""Of how many pairs the questions are kept: those whose answers are under way."""


@dataclass(frozen=True)
class ProtocolJudging(Judging):
    """``parameters`` are those that an answer depends on."""

    pairs: Mapping[str, Pair]
    protocol: PreparedProtocol
    parameters: Mapping[str, Any]

    def parts(self, judgement: ScoreUnit) -> list[ScoreUnit]:
        return [judgement._replace(question=question) for question in self._questions(judgement.key)]

    def count(self, edits: Units) -> int:
        # All samples of a pair have the same questions.
        asked = {key: len(self.protocol.rules.expected(facts_of(pair))) for key, pair in self.pairs.items()}
        return self.passes * sum(asked[edit.key] for edit in edits)

    def item(self, unit: ScoreUnit) -> m.ScoreItem:
        return m.ScoreItem(item=unit.job, key=unit.key, question=self._question(unit))

    def identity(self, unit: ScoreUnit, image_sha256: str, fingerprint: str) -> str:
        if unit.question:
            pair, question = self.pairs[unit.key], self._question(unit)
            shown = {"edit": image_sha256, **{name: image.sha256 for name, image in pair.images.items()}}
            return answer_identity(
                question=question,
                images={name: shown[name] for name in question.images},
                parameters=self.parameters,
                pass_=unit.pass_,
                fingerprint=fingerprint,
            )
        answers = {part.question: self.identity(part, image_sha256, fingerprint) for part in self.parts(unit)}
        item, table = map(msgspec.to_builtins, (self._facts(unit.key), self.protocol.table))
        return judged_identity(self.protocol.name, self.protocol.texts.hashes, table, item, answers)

    def row(
        self, job: ScoreJob, unit: ScoreUnit, answers: Sequence[m.Judgement], message: m.Scored, identity: str
    ) -> AnsweredRow | FailedRow:
        usage = answers[0].usage if answers else None

        def failed(kind: str, text: str) -> FailedRow:
            return failed_score(unit, job, kind, text, identity=identity, message=message, usage=usage)

        if len(answers) != 1:
            return failed("error", f"the reward gave {counted(len(answers), 'answer')} to one question")
        answer = answers[0]
        if answer.kind is not None or answer.response is None:
            return failed(*unanswered(answer))
        try:
            dimensions = self._read(unit, answer.response)
        except UnreadableReply as error:
            reason = f"{error}; {answer.message}" if answer.message else str(error)
            return failed("unreadable_reply", with_reply(reason, answer.response))
        return AnsweredRow(
            **result_fields(job, unit, message, identity),
            question=unit.question,
            dimensions=dimensions,
            response=answer.response,
            usage=usage,
        )

    def _read(self, unit: ScoreUnit, reply: str) -> dict[str, float]:
        """Return the dimensions that the reply gives: all that are expected, as finite numbers.

        Raises ``UnreadableReply``, also for what a protocol did not foresee: one reply must not end a run.
        """
        item = self._facts(unit.key)
        try:
            dimensions = dict(self.protocol.rules.read(item, unit.question, reply))
            expected = self.protocol.rules.expected(item)[unit.question]
        except UnreadableReply:
            raise
        except Exception as error:
            raise UnreadableReply(f"{self.protocol.name} cannot read it: {type(error).__name__}: {error}") from error
        for name in (*expected, *dimensions):
            if name not in dimensions or not math.isfinite(dimensions[name]):
                raise UnreadableReply(f"{self.protocol.name} reads no number of it as {name}")
        return dimensions

    def is_whole(self, judgement: ScoreUnit, dimensions: Mapping[str, float]) -> bool:
        expected = self.protocol.rules.expected(self._facts(judgement.key))
        return all(name in dimensions for names in expected.values() for name in names)

    def whole(self, last: AnsweredRow, dimensions: Mapping[str, float], identity: str) -> ScoredRow:
        item = self._facts(f"{last.category}/{last.pair_id}")
        return ScoredRow(
            category=last.category,
            pair_id=last.pair_id,
            sample=last.sample,
            pass_=last.pass_,
            attempt=last.attempt,
            worker=last.worker,
            device=last.device,
            batch=last.batch,
            # The times are those of the answers.
            started=None,
            finished=None,
            identity=identity,
            score=self.protocol.rules.score(item, dimensions),
            aspects=None,
            response=None,
            method="protocol",
            dimensions=dict(dimensions),
        )

    def _facts(self, key: str) -> ItemFacts:
        return facts_of(self.pairs[key])

    def _question(self, unit: ScoreUnit) -> m.Question:
        return self._questions(unit.key)[unit.question]

    def _questions(self, key: str) -> Mapping[str, m.Question]:
        return self._questions_by_key(key)

    @cached_property
    def _questions_by_key(self) -> Callable[[str], Mapping[str, m.Question]]:
        @lru_cache(_REMEMBERED)
        def questions(key: str) -> Mapping[str, m.Question]:
            return {question.name: question for question in self.protocol.rules.questions(self._facts(key))}

        return questions
