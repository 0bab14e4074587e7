"""What was asked of a run, and how one goes on with it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from scheduler.base.shard import Shard
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.commands.main import parser
from scheduler.run.options import keeps_images, of_one_checkpoint, resume_command, resume_problem

ELSEWHERE = EditsElsewhere("/images", 1, {}, {}, ())


def given(*words: str) -> argparse.Namespace:
    return parser().parse_args(words)


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("edit", ("edit",)),
        ("score", ("score",)),
        ("edit,score", ("edit", "score")),
        ("score, edit", ("edit", "score")),
    ],
)
def test_stages_are_named_in_any_order_and_done_in_theirs(text: str, stages: tuple[str, ...]) -> None:
    assert given("run", "--config", "c", "--stages", text).stages == stages
    assert given("run", "--config", "c").stages == ("edit", "score")


@pytest.mark.parametrize("text", ["", "edit,edit", "Edit", "edit score", "edit,"])
def test_other_stages_are_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        given("run", "--config", "c", "--stages", text)
    assert "is none of: edit, score, edit,score" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        *(("run", "--config", "c", option, "") for option in ("--output-dir", "--data", "--pool", "--resume")),
        ("run", "--config", ""),
        ("status", "latest", "--output-dir", ""),
        ("report", "latest", "--human-scores", ""),
        ("workers", "stop", "--config", "c", "--pool", ""),
    ],
)
def test_an_empty_path_or_name_is_a_usage_error_and_not_the_working_directory(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        given(*words)
    assert ": must not be empty" in capsys.readouterr().err


def test_score_takes_images_and_whatever_concerns_no_editor() -> None:
    options = given("score", "--config", "c", "--images", "there", "--limit", "2", "--resume", "latest")
    assert (options.images, options.stages, options.editor_model) == (Path("there"), ("score",), None)
    for more in (["--editor-model", "x"], ["--stages", "edit"]):
        with pytest.raises(SystemExit, match="2"):
            given("score", "--config", "c", "--images", "there", *more)


@pytest.mark.parametrize(
    ("words", "stages", "expected"),
    [
        (["run", "--config", "a b"], None, "run --config 'a b' --resume X"),
        (["run", "--resume", "latest", "--debug"], None, "run --debug --resume X"),
        (["run", "--resume=Y", "--stages", "edit"], None, "run --stages edit --resume X"),
        (["run", "--stages", "edit", "--limit", "1"], ("score",), "run --limit 1 --stages score --resume X"),
        (["run", "--stages=edit"], ("edit", "score"), "run --stages edit,score --resume X"),
    ],
)
def test_what_to_type_to_go_on_is_what_was_typed_with_the_run_named(
    words: list[str], stages: tuple[Stage, ...] | None, expected: str
) -> None:
    assert resume_command(words, "X", stages=stages).endswith(f" {expected}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--editor-models", "a", "c", "--limit", "1"], ["run", "--limit", "1"]),
        (["run", "--limit", "1", "--editor-models=a", "--debug"], ["run", "--limit", "1", "--debug"]),
        (["run", "--editor-models", "a", "--name", "-x", "--trace"], ["run", "--trace"]),
        (["run", "--name=x", "--categories", "p", "q", "--editor-models", "a"], ["run", "--categories", "p", "q"]),
    ],
)
def test_the_run_of_one_checkpoint_has_the_other_options_of_its_sweep(words: list[str], expected: list[str]) -> None:
    assert of_one_checkpoint(words, "c 1") == (*expected, "--editor-model", "c 1")


def test_the_run_of_one_checkpoint_has_no_option_that_only_watches_have(capsys: pytest.CaptureFixture[str]) -> None:
    commands = {}
    for name in ("run", "watch"):
        with pytest.raises(SystemExit):
            parser([name]).parse_args([name, "--help"])
        commands[name] = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    own = commands["watch"] - commands["run"]
    assert {"--settle", "--once"} <= own
    words = [word for option in sorted(own - {"--once", "--retry"}) for word in (option, "value")]
    run = of_one_checkpoint(["run", *words, "--once", "--retry", "--debug"], "c")
    assert run == ("run", "--debug", "--editor-model", "c")


def test_a_run_is_gone_on_with_by_the_command_that_began_it() -> None:
    own, judged = {"edits": None}, {"edits": {"made": "elsewhere", "from": "/images"}}
    assert resume_problem(own, "X", None, None) is None
    assert resume_problem(judged, "X", ELSEWHERE, None) is None
    assert resume_problem({}, "X", ELSEWHERE, None) is None, "nothing is known of it"
    assert "warmbench score --images /images" in (resume_problem(judged, "X", None, None) or "")
    assert "warmbench run" in (resume_problem(own, "X", ELSEWHERE, None) or "")


def test_a_shard_is_resumed_as_the_same_shard() -> None:
    part = {"shard": {"number": 2, "of": 8, "pairs": 3}}
    assert resume_problem(part, "X", None, Shard(2, 8)) is None
    for other in (None, Shard(1, 8), Shard(2, 4)):
        assert resume_problem(part, "X", None, other) == "run X is shard 2/8: resume it with --shard 2/8"
    assert "run X is no shard" in (resume_problem({"shard": None}, "X", None, Shard(2, 8)) or "")
    assert resume_problem({}, "X", None, Shard(2, 8)) is None, "nothing is known of it"


def test_images_stay_that_are_all_there_is_or_somebody_elses() -> None:
    assert not keeps_images(False, BOTH_STAGES, None)
    assert keeps_images(True, BOTH_STAGES, None)
    assert keeps_images(False, ("edit",), None)
    assert not keeps_images(False, ("score",), None)
    assert keeps_images(False, ("score",), ELSEWHERE)
