"""Edits made elsewhere are recorded as they lie there, and scores stay with the bytes that they were given to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.config.prompts import CategoryPrompts, PromptTemplate
from scheduler.report.build import build_report
from scheduler.report.model import Report
from scheduler.run.admission import Admission, refused_edits
from scheduler.run.planner import Remaining
from scheduler.stages.by_prompts import PromptJudging
from scheduler.stages.task import Task
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, Row
from scheduler.store.run_directory import RunDirectory, thumbnail_path
from tests.scheduler.benchmark.make import image_bytes
from tests.scheduler.rows import scored, sha, stage_end

KEYS = ("1", "2", "3")
EXPECTED = Expected(stages=("score",))


class Run:
    """The ledger of a run that judges images, part by part."""

    def __init__(self, folder: Path, expected: Expected = EXPECTED) -> None:
        pairs = tuple(
            Pair(number, "c", key, "do it", "", source=None, sha256=sha(key))  # type: ignore[arg-type]
            for number, key in enumerate(KEYS)
        )
        self.folder = folder
        self.directory = RunDirectory(folder)
        self.expected = expected
        self.benchmark = Benchmark("data", "json", ("c",), pairs, (), (), "0")
        prompts = CategoryPrompts((PromptTemplate("", "", "how good?"),), "mean")
        by_key = {pair.key: pair for pair in pairs}
        self.task = Task(
            pairs=by_key,
            judging=PromptJudging(
                expected.reward_passes, by_key, lambda _: prompts, {}, with_source=False, score_range=(0.0, 10.0)
            ),
            seed=0,
            edit_parameters={},
            edit_identity_parameters={},
            score_parameters={},
        )
        self.rows: list[Row] = []

    def place(self, **contents: bytes) -> dict[str, Path]:
        paths = {key.strip("_"): self.folder / f"{key.strip('_')}.png" for key in contents}
        for path, content in zip(paths.values(), contents.values(), strict=True):
            path.write_bytes(content)
        return paths

    def edits(self, paths: Mapping[str, Path]) -> EditsElsewhere:
        images = {EditUnit("c", key): str(path) for key, path in paths.items()}
        return EditsElsewhere(str(self.folder), len(KEYS), images, {}, ())

    def part(self, paths: Mapping[str, Path], *, reward: str = "R", score: bool = True) -> Remaining:
        """One part: what remains is written down and, unless told otherwise, scored."""
        fingerprint = reward if self.rows else None
        edits = self.edits(paths)
        admission = Admission(self.benchmark, self.task, self.directory, self.expected, edits, reward=fingerprint)
        remaining = admission.remaining(self.rows)
        self.rows += remaining.rows
        known = dict(remaining.scores)
        for unit, sha256 in remaining.delivered if score else ():
            for number in range(self.expected.reward_passes):
                one = ScoreUnit(unit, number)
                identity = self.task.judging.identity(one, sha256, reward)
                if known.get(one) != identity:
                    self.rows.append(scored(unit.pair_id, 5.0, "c", pass_=number, identity=identity))
        if remaining.delivered and score:
            self.rows.append(stage_end("score", wall=1.0, device=1.0, workers=1))
        return remaining

    def report(self) -> Report:
        return build_report(iter(self.rows), manifest={}, expected=self.expected)

    def statuses(self) -> list[str]:
        return [pair.status for pair in self.report().pairs]


RED, BLUE, JPEG = image_bytes((8, 6)), image_bytes((9, 6)), image_bytes((7, 5), "JPEG")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_an_image_becomes_an_edit_of_which_no_more_is_known_than_what_it_is(run: Run) -> None:
    paths = run.place(_1=RED, _2=JPEG)
    remaining = run.part(paths)
    assert [unit.pair_id for unit, _ in remaining.delivered] == ["1", "2"]
    row = next(row for row in run.rows if isinstance(row, EditedRow) and row.pair_id == "2")
    assert (row.image, row.size) == (str(paths["2"]), (7, 5))
    assert {row.worker, row.device, row.round, row.seed, row.attempt, row.started, row.finished} == {None}
    assert run.statuses() == ["scored", "scored", "failed"]
    (failure,) = run.report().failures
    assert (failure.stage, failure.kind, failure.pair_id) == ("edit", "no_image", "3")
    assert remaining.missing == {"no_image": 1}


def test_what_is_as_it_was_is_reused_and_nothing_is_written_again(run: Run) -> None:
    paths = run.place(_1=RED, _2=BLUE)
    run.part(paths)
    again = run.part(paths)
    assert (list(again.rows), again.delivered, again.reused_scores) == ([], [], 2)


def test_an_image_that_was_changed_is_scored_again_and_one_that_was_moved_is_not(run: Run) -> None:
    paths = run.place(_1=RED, _2=BLUE, _3=JPEG)
    run.part(paths)
    paths["1"].write_bytes(image_bytes((4, 4)))
    paths["2"] = paths["2"].rename(run.folder / "moved.png")
    thumbnails = [thumbnail_path(run.directory.path, "c", key, 0) for key in KEYS]
    for thumbnail in map(Path, thumbnails):
        thumbnail.parent.mkdir(parents=True, exist_ok=True)
        thumbnail.touch()
    again = run.part(paths, score=False)
    assert again.stale == thumbnails[:1], "it shows what is no longer there"
    assert [unit.pair_id for unit, _ in again.delivered] == ["1"]
    assert run.statuses() == ["missing", "scored", "scored"]
    assert run.report().pairs[1].samples[0].image == str(run.folder / "moved.png")


def test_an_image_that_is_gone_fails_its_pair_once_and_counts_again_when_it_is_back(run: Run) -> None:
    paths = run.place(_1=RED, _2=BLUE, _3=JPEG)
    run.part(paths)
    paths["2"].unlink()
    run.part(paths)
    assert run.statuses() == ["scored", "failed", "scored"]
    assert "there is no file" in run.report().failures[0].message
    assert list(run.part(paths).rows) == []
    run.place(_2=BLUE)
    run.part(paths)
    assert run.statuses() == ["scored", "scored", "scored"]


def test_another_reward_scores_everything_again(run: Run) -> None:
    paths = run.place(_1=RED, _2=BLUE, _3=JPEG)
    run.part(paths)
    again = run.part(paths, reward="S", score=False)
    assert len(again.delivered) == 3
    assert run.statuses() == ["missing"] * 3


def test_more_passes_add_what_is_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    paths = run.place(_1=RED, _2=BLUE, _3=JPEG)
    run.part(paths)
    run.directory.close()
    more = Run(tmp_path, Expected(reward_passes=2, stages=("score",)))
    more.rows = run.rows
    again = more.part(paths)
    assert (again.reused_scores, len(again.delivered)) == (3, 3)
    assert more.statuses() == ["scored"] * 3


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "bad_image"),
        (b"<svg/>", "bad_image"),
        (RED[:-20], "bad_image"),
        (image_bytes((12_000, 9_000), mode="1"), "image_too_large"),
    ],
)
def test_an_image_that_is_none_fails_its_pair(run: Run, content: bytes, kind: str) -> None:
    run.part(run.place(_1=content, _2=BLUE, _3=JPEG))
    assert run.statuses() == ["failed", "scored", "scored"]
    assert [failure.kind for failure in run.report().failures] == [kind]


def test_what_is_no_file_fails_its_pair_and_is_not_waited_for(run: Run) -> None:
    paths = run.place(_2=BLUE, _3=JPEG)
    os.mkfifo(run.folder / "pipe.png")
    run.part({"1": run.folder / "pipe.png", **paths})
    assert run.statuses() == ["failed", "scored", "scored"]
    assert "is not a file" in run.report().failures[0].message


def test_a_path_that_is_no_text_fails_its_pair(run: Run) -> None:
    path = run.folder / "1\udcff.png"
    path.write_bytes(RED)
    run.part({"1": path, **run.place(_2=BLUE, _3=JPEG)})
    assert run.statuses() == ["failed", "scored", "scored"]
    run.report().failures[0].message.encode()


def test_a_dry_run_finds_what_only_decoding_shows(run: Run) -> None:
    broken = bytearray(image_bytes((60, 60), "JPEG", quality=95))
    paths = run.place(_1=bytes(broken[:-40]), _2=BLUE)
    found = refused_edits(run.edits(paths), run.benchmark, 1)
    assert [(unit.pair_id, error.kind) for unit, error in found] == [("1", "bad_image"), ("3", "no_image")]
