"""A run in a directory, part by part: what remains of it, done in the tests' process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from scheduler.base.stages import Stage
from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.config.prompts import CategoryPrompts, PromptTemplate
from scheduler.report.build import build_report
from scheduler.run.resume import Resumption, from_the_beginning
from scheduler.run.reuse import Offers, OtherRun
from scheduler.stages.by_prompts import PromptJudging
from scheduler.stages.task import Task
from scheduler.store.ledger import cut_torn_line, read_ledger
from scheduler.store.results import Expected
from scheduler.store.rows import Row, encode_row
from scheduler.store.run_directory import RunDirectory
from scheduler.store.tally import read_tallies
from tests.scheduler.rows import edited, failed, scored, sha


@dataclass(frozen=True)
class Settings:
    """What may differ between two parts of a run."""

    steps: int = 1
    editor: str = "E"
    question: str = "Q"
    reward: str = "R"
    pairs: int = 3
    sources: str = ""
    instruction: str = "do it"
    expected: Expected = field(default_factory=Expected)
    keep_images: bool = True

    @property
    def edits(self) -> bool:
        return "edit" in self.expected.stages

    @property
    def scores(self) -> bool:
        return "score" in self.expected.stages


def benchmark_of(chosen: Settings) -> Benchmark:
    pairs = tuple(
        Pair(number, "c", str(number), chosen.instruction, "", source=None, sha256=sha(f"{chosen.sources}{number}"))  # type: ignore[arg-type]
        for number in range(chosen.pairs)
    )
    return Benchmark("data", "json", ("c",), pairs, (), (), "0")


def task_of(chosen: Settings, benchmark: Benchmark) -> Task:
    prompts = CategoryPrompts((PromptTemplate("", "", chosen.question),), "mean")
    parameters = {"steps": chosen.steps}
    by_key = {pair.key: pair for pair in benchmark.pairs}
    return Task(
        pairs=by_key,
        judging=PromptJudging(
            chosen.expected.reward_passes, by_key, lambda _: prompts, {}, with_source=False, score_range=(0.0, 10.0)
        ),
        seed=0,
        edit_parameters=parameters,
        edit_identity_parameters=parameters,
        score_parameters={},
    )


class Part:
    """One part of a run in a directory: knows what remains, and can do some of it."""

    def __init__(self, directory: RunDirectory, chosen: Settings, *, resumed: bool, reuse: Sequence[Part] = ()) -> None:
        self.directory = directory
        self.chosen = chosen
        self.benchmark = benchmark_of(chosen)
        self.task = task_of(chosen, self.benchmark)
        cut_torn_line(directory.ledger)
        if resumed:
            resumption = Resumption(
                self.benchmark,
                self.task,
                directory,
                chosen.expected,
                editor=chosen.editor if chosen.edits else None,
                reward=chosen.reward if chosen.scores else None,
                keep_images=chosen.keep_images or not chosen.scores,
                offers=offers_of(reuse),
            )
            self.remaining = resumption.remaining(read_ledger(directory.ledger))
        else:
            self.remaining = from_the_beginning(self.benchmark, chosen.expected.samples_per_pair)
        self.write(list(self.remaining.rows))
        self.known = dict(self.remaining.scores)

    def write(self, rows: Sequence[Row]) -> None:
        with self.directory.ledger.open("ab") as file:
            file.write(b"".join(map(encode_row, rows)))

    def edit(self, unit: EditUnit, *, fails: bool = False) -> str | None:
        identity = self.task.edit_identity(unit, self.chosen.editor)
        if fails:
            self.write([failed(unit.pair_id, "c", sample=unit.sample, identity=identity)])
            return None
        content = content_of(unit, self.chosen.steps, self.chosen.editor, self.chosen.instruction)
        path = self.directory.image_path(unit.category, unit.pair_id, unit.sample)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        row = edited(unit.pair_id, "c", sample=unit.sample, identity=identity, sha256=digest)
        self.write([msgspec.structs.replace(row, image=self.directory.recorded(path))])
        return digest

    def score(self, unit: EditUnit, sha256: str, *, fails: bool = False) -> None:
        for number in range(self.chosen.expected.reward_passes):
            one = ScoreUnit(unit, number)
            identity = self.task.judging.identity(one, sha256, self.chosen.reward)
            if self.known.pop(one, None) == identity:
                continue
            if fails:
                self.write(
                    [failed(unit.pair_id, "c", stage="score", sample=unit.sample, pass_=number, identity=identity)]
                )
            else:
                self.write([scored(unit.pair_id, 5.0, "c", sample=unit.sample, pass_=number, identity=identity)])
        if not self.chosen.keep_images and not fails:
            Path(self.directory.image_path(unit.category, unit.pair_id, unit.sample)).unlink()

    def work(self, steps: Sequence[str]) -> None:
        """Do what remains, a step for each piece: ``done``, ``fails``, or ``killed``, which ends it."""
        pieces: list[tuple[EditUnit, str | None]] = [
            *self.remaining.delivered,
            *((unit, None) for unit in self.remaining.edits),
        ]
        for (unit, sha256), step in zip(pieces, [*steps, *["done"] * len(pieces)], strict=False):
            if step == "killed":
                return
            made = sha256 or self.edit(unit, fails=step == "edit fails")
            if step == "killed before scoring":
                return
            if made is not None and self.chosen.scores:
                self.score(unit, made, fails=step == "score fails")

    def rows(self) -> list[Row]:
        return list(read_ledger(self.directory.ledger))


def content_of(unit: EditUnit, steps: int, editor: str, instruction: str) -> bytes:
    """Like a real edit's, its bytes follow from what it depends on (but not the other way round)."""
    return f"{unit} {steps // 2} {editor} {instruction}".encode()


def offers_of(parts: Sequence[Part]) -> Offers:
    """What these runs offer."""
    offers = Offers()
    for part in parts:
        name, path = part.directory.stamp, part.directory.path
        offers.add(OtherRun(name, path, name, {}, part.chosen.expected, lambda part=part: iter(part.rows())))  # type: ignore[misc]
    return offers


steps = st.lists(
    st.sampled_from(["done", "done", "edit fails", "score fails", "killed", "killed before scoring"]), max_size=8
)


def settings_for(*stages: tuple[Stage, ...]) -> st.SearchStrategy[Settings]:
    return st.builds(
        Settings,
        steps=st.integers(0, 3),
        editor=st.sampled_from("EF"),
        question=st.sampled_from("QW"),
        reward=st.sampled_from("RS"),
        pairs=st.integers(1, 3),
        instruction=st.sampled_from(["do it", "or not"]),
        expected=st.builds(
            Expected,
            samples_per_pair=st.integers(1, 2),
            reward_passes=st.integers(1, 2),
            stages=st.sampled_from(stages),
        ),
        keep_images=st.booleans(),
    )


chosen_settings = settings_for(("edit", "score"))
any_stages = settings_for(("edit", "score"), ("edit",), ("score",))
damages = st.sampled_from(["none", "none", "torn", "image gone", "image swapped"])


def damage(directory: RunDirectory, kind: str) -> None:
    images = sorted((directory.path / "images").rglob("*.png"))
    if kind == "torn" and directory.ledger.stat().st_size:
        directory.ledger.write_bytes(directory.ledger.read_bytes()[:-5])
    elif kind == "image gone" and images:
        images[0].unlink()
    elif kind == "image swapped" and images:
        images[0].write_bytes(b"another image")


def report_of(part: Part) -> Any:
    manifest = {"left_out": part.remaining.left_out}
    return build_report(part.rows(), manifest=manifest, expected=part.chosen.expected)


def assert_only_own_results(part: Part) -> None:
    left_out = set(part.remaining.left_out)
    for tally in read_tallies(part.rows(), part.chosen.expected):
        if (tally.category, tally.pair_id) in left_out:
            continue
        for number, sample in tally.samples.items():
            unit = EditUnit(tally.category, tally.pair_id, number)
            if sample.edit is None or sample.withdrawn:
                continue
            if part.chosen.edits:
                assert sample.edit.identity == part.task.edit_identity(unit, part.chosen.editor)
            else:
                contents = (
                    content_of(unit, steps, editor, part.chosen.instruction) for steps in (0, 2) for editor in "EF"
                )
                assert sample.edit.sha256 in {hashlib.sha256(content).hexdigest() for content in contents}
            for score in sample.scores.values() if part.chosen.scores else ():
                one = ScoreUnit(unit, score.pass_)
                assert score.identity == part.task.judging.identity(one, sample.edit.sha256, part.chosen.reward)
