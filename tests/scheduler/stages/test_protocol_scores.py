"""The score stage where a protocol judges: each question is paid for once, whatever fails and whenever a run ends."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from protocol import messages as m
from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.units import EditUnit
from scheduler.config.prompts import CategoryPrompts
from scheduler.run.planner import Remaining
from scheduler.run.resume import Resumption
from scheduler.stages.batches import Batches
from scheduler.stages.by_prompts import PromptJudging
from scheduler.stages.by_protocol import ProtocolJudging
from scheduler.stages.score_stage import ScoreStage
from scheduler.stages.task import Task
from scheduler.store.delivery import LedgerEntry
from scheduler.store.results import Expected
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, Row, ScoredRow
from scheduler.store.run_directory import RunDirectory
from scheduler.store.tally import read_tallies
from tests.example_protocol import EXPECTED, TEXTS, prepared_for

T = TypeVar("T")
REPLIES = {"edit": '{"follows": 4, "keeps": 3}', "look": '{"flaws": 5}'}


class Client:
    """A reward, as the stage sees it: takes batches, and is asked for their answers by the test."""

    device, incarnation = "cpu", "i"

    def __init__(self) -> None:
        self.batches: list[m.Score] = []

    def send(self, message: m.Score, images: Sequence[bytes]) -> None:
        assert len(images) == message.image_frames
        self.batches.append(message)

    def acknowledge(self, job: str) -> None: ...

    def cancel(self, jobs: list[str]) -> None: ...


class Loop:
    """What the stage needs of a run's loop; rows are durable at once."""

    run, epoch, trace = "r", 1, None

    def __init__(self) -> None:
        self.client = Client()
        self.rows: list[Row] = []

    def worker(self, name: str) -> Any:
        return self.client

    def fingerprint(self, role: m.Role) -> str:
        return "R"

    def read(self, function: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        then(function())

    def deliver(self, entry: LedgerEntry) -> None:
        self.rows += entry.rows
        if entry.done is not None:
            entry.done()

    def failure_recorded(self, key: str) -> None: ...

    def abort(self, reason: str) -> None:
        raise AssertionError(reason)


class Bytes:
    size, sha256 = (8, 8), hashlib.sha256(b"source").hexdigest()

    def read(self) -> bytes:
        return b"source"


class Parts:
    """A run over its parts: each resumes from the ledger and asks some of what is left."""

    def __init__(self, folder: Path, pairs: int, expected: Expected) -> None:
        self.expected, self.directory = expected, RunDirectory(folder)
        everything = tuple(
            Pair(number, "c", str(number), f"do {number}", "", Bytes(), Bytes.sha256) for number in range(pairs)
        )
        self.benchmark = Benchmark("data", "json", ("c",), everything, (), (), "0")
        self.rows: list[Row] = []
        self.asked: Counter[str] = Counter()
        for pair in everything:
            for sample in range(expected.samples_per_pair):
                self.rows.append(self.edit(EditUnit("c", pair.pair_id, sample)))

    def edit(self, unit: EditUnit) -> EditedRow:
        path = Path(self.directory.image_path(*unit))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(unit.job.encode())
        return EditedRow(
            **unit._asdict(),
            identity=self.task().edit_identity(unit, "E"),
            image=self.directory.recorded(str(path)),
            sha256=hashlib.sha256(unit.job.encode()).hexdigest(),
            size=(8, 8),
        )

    def task(self, hashes: str = "0") -> Task:
        texts = structs.replace(TEXTS, hashes={"prompts.py": hashes * 64})
        protocol = prepared_for(self.benchmark, texts)
        pairs = self.benchmark.by_key
        judging = ProtocolJudging(self.expected.reward_passes, pairs, protocol, {"temperature": 0})
        return Task(pairs, judging, 0, {}, {}, {})

    def part(self, outcomes: Sequence[str], *, hashes: str = "0") -> None:
        """Resume; each outcome is that of one question: ``answered``, ``unreadable``, ``refused``, or the reply."""
        loop, task = Loop(), self.task(hashes)
        remaining = self.remaining(task)
        self.rows += remaining.rows
        stage = self.stage(loop, task, Batches(batch_size=2, max_attempts=1))
        stage.begin(remaining.scores, remaining.answers, reused=remaining.complete_scores)
        stage.join("reward-0")
        for unit, sha256 in remaining.delivered:
            stage.available(unit, sha256)
        stage.close()
        left = list(outcomes)
        while loop.client.batches and left:
            batch = loop.client.batches.pop(0)
            items = [self.answer(item, left.pop(0) if left else "answered") for item in batch.items]
            stage.handle(
                "reward-0", m.Scored(run="r", incarnation="i", job=batch.job, started=1.0, finished=2.0, items=items)
            )
        self.rows += loop.rows
        assert stage.done == sum(isinstance(row, AnsweredRow) for row in loop.rows)
        if not loop.client.batches:
            assert stage.reused + stage.done + stage.failed == remaining.units_of_reused_edits

    def remaining(self, task: Task) -> Remaining:
        planner = Resumption(
            self.benchmark, task, self.directory, self.expected, editor="E", reward="R", keep_images=True
        )
        return planner.remaining(self.rows)

    def stage(self, loop: Loop, task: Task, batches: Batches) -> ScoreStage:
        def path(unit: EditUnit) -> str:
            return self.directory.image_path(*unit)

        return ScoreStage(loop, task, batches, path, keep_images=True, made_elsewhere=False)

    def answer(self, item: m.ScoreItem, outcome: str) -> m.ScoredItem:
        assert item.question is not None
        self.asked[item.item] += 1
        usage = m.Usage(requests=1)
        replies = {"answered": REPLIES[item.question.name], "unreadable": "hm", "refused": None}
        reply = replies.get(outcome, outcome)
        judgement = m.Judgement(response=reply, usage=usage) if reply else m.Judgement(kind="refused", usage=usage)
        return m.ScoredItem(item=item.item, judgements=[judgement])


@given(
    pairs=st.integers(1, 3),
    expected=st.builds(Expected, samples_per_pair=st.integers(1, 2), reward_passes=st.integers(1, 2)),
    parts=st.lists(st.lists(st.sampled_from(["answered", "unreadable", "refused"]), max_size=6), max_size=4),
)
def test_each_question_is_answered_once_however_often_a_run_is_resumed(
    pairs: int, expected: Expected, parts: list[list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Parts(Path(folder), pairs, expected)
        for outcomes in (*parts, ["answered"] * 100):
            run.part(outcomes)
        answered = Counter(
            (row.pair_id, row.sample, row.pass_, row.question) for row in run.rows if isinstance(row, AnsweredRow)
        )
        scored = Counter((row.pair_id, row.sample, row.pass_) for row in run.rows if isinstance(row, ScoredRow))
        judgements = pairs * expected.samples_per_pair * expected.reward_passes
        assert (len(scored), {*scored.values()}) == (judgements, {1})
        assert (len(answered), {*answered.values()}) == (judgements * len(EXPECTED), {1})
        failures = sum(isinstance(row, FailedRow) and row.kind in ("unreadable_reply", "refused") for row in run.rows)
        assert run.asked.total() == answered.total() + failures
        for tally in read_tallies(run.rows, expected):
            result = tally.result(expected)
            assert (result.status, result.score) == ("scored", 3.0)
        again = len(run.rows)
        run.part([])
        assert [row for row in run.rows[again:] if isinstance(row, AnsweredRow | ScoredRow | FailedRow)] == []


def test_other_official_files_with_the_same_texts_score_anew_without_asking(tmp_path: Path) -> None:
    run = Parts(tmp_path, 2, Expected())
    run.part(["answered"] * 4)
    asked = run.asked.total()
    run.part([], hashes="1")
    assert run.asked.total() == asked
    scored = [row for row in run.rows if isinstance(row, ScoredRow)]
    assert len(scored) == 4
    assert scored[0].identity != scored[2].identity
    tally = read_tallies(run.rows, Expected())[0]
    assert tally.result(Expected()).status == "scored"


def test_the_failure_of_one_question_names_it_and_keeps_the_other_answer(tmp_path: Path) -> None:
    run = Parts(tmp_path, 1, Expected())
    run.part(["answered", "unreadable"])
    [failure] = [row for row in run.rows if isinstance(row, FailedRow)]
    assert (failure.question, failure.kind, failure.usage) == ("look", "unreadable_reply", m.Usage(requests=1))
    assert failure.message.endswith("the reply was: hm")
    [answer] = [row for row in run.rows if isinstance(row, AnsweredRow)]
    assert (answer.question, answer.dimensions) == ("edit", {"follows": 4.0, "keeps": 3.0})
    assert json.loads(answer.response) == answer.dimensions
    [tally] = read_tallies(run.rows, Expected())
    assert [failure.question for failure in tally.failures(Expected())] == ["look"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("[" * 100_000, "example cannot read it: RecursionError"),
        ('{"follows": NaN, "keeps": 3}', "example reads no number of it as follows"),
        ('{"follows": 4, "keeps": Infinity}', "example reads no number of it as keeps"),
    ],
)
def test_a_reply_that_a_protocol_did_not_foresee_fails_its_question_alone(
    tmp_path: Path, reply: str, reason: str
) -> None:
    run = Parts(tmp_path, 1, Expected())
    run.part([reply, "answered"])
    [failure] = [row for row in run.rows if isinstance(row, FailedRow)]
    assert (failure.question, failure.kind) == ("edit", "unreadable_reply")
    assert failure.message.startswith(reason)
    assert [row.question for row in run.rows if isinstance(row, AnsweredRow)] == ["look"]


def test_what_a_failed_question_has_taken_counts_even_if_its_last_attempt_took_nothing(tmp_path: Path) -> None:
    run, loop = Parts(tmp_path, 1, Expected()), Loop()
    stage = run.stage(loop, structs.replace(run.task(), asks_again=True), Batches(batch_size=1, max_attempts=2))
    stage.join("reward-0")
    stage.available(EditUnit("c", "0"), hashlib.sha256(b"c/0/0").hexdigest())
    first = loop.client.batches.pop(0)
    items = [run.answer(first.items[0], "unreadable")]
    stage.handle("reward-0", m.Scored(run="r", incarnation="i", job=first.job, started=1.0, finished=2.0, items=items))
    again = next(batch for batch in loop.client.batches if batch.items == first.items)
    stage.handle(
        "reward-0", m.Failed(run="r", incarnation="i", job=again.job, stage="score", kind="error", message="lost")
    )
    [failure] = [row for row in loop.rows if isinstance(row, FailedRow)]
    assert (failure.question, failure.kind, failure.usage) == ("edit", "error", m.Usage(requests=1))


def test_answers_to_questions_that_are_not_asked_any_more_are_withdrawn(tmp_path: Path) -> None:
    run = Parts(tmp_path, 1, Expected())
    run.part(["answered", "refused"])

    def prompts(category: str) -> CategoryPrompts:
        raise AssertionError(f"no score of {category} is there")

    pairs = run.benchmark.by_key
    judging = PromptJudging(1, pairs, prompts, {}, with_source=False, score_range=(0.0, 10.0))
    run.rows += run.remaining(structs.replace(run.task(), judging=judging)).rows
    [tally] = read_tallies(run.rows, Expected())
    assert not tally.samples[0].answers
