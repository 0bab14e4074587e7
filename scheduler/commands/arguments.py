"""The options of the command line. ``--help`` needs nothing else, so nothing else is imported."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from protocol import VERSION


def parser() -> argparse.ArgumentParser:
    """The options of every command. The namespace has ``command``, and for ``workers`` ``action``."""
    whole = argparse.ArgumentParser(
        prog="warmbench",
        description="Evaluates image-editing models: edits every pair of a benchmark, has a reward "
        "model score the edits, writes reports.",
    )
    whole.add_argument("--version", action="version", version=f"warmbench {VERSION}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="edit and score a benchmark, and write the reports",
        description="Edits and scores a benchmark and writes the reports. Exit codes: 0 every pair was done; 2 the "
        "config, the data or the command line is wrong, nothing was run; 3 finished, but some pairs could not be done; "
        "1 aborted; 130 interrupted.",
    )
    _add_running(run)
    run.add_argument("--editor-model", metavar="NAME", help="another checkpoint: a folder, or a name on the hub")
    run.add_argument(
        "--stages",
        type=_stages,
        default=("edit", "score"),
        metavar="STAGES",
        help="what to do: edit, score, or edit,score (the default); score alone needs --resume",
    )
    run.set_defaults(command="run", images=None)
    score = commands.add_parser(
        "score",
        help="score edits that were made elsewhere, and write the reports",
        description="Scores edits that were made elsewhere, each beside the pair of the benchmark that it is of, and "
        "writes the reports. No editor is needed. Exit codes: as those of run.",
    )
    score.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="PATH",
        help="a folder with <category>/<pair_id>.png, or a file with a JSON object a line: id, image_path",
    )
    _add_running(score)
    score.set_defaults(command="score", editor_model=None, stages=("score",))
    _add_readers(commands)
    workers = commands.add_parser("workers", help="the pool, without a run: start, status, stop")
    actions = workers.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("start", "launch the pool, show each load, return when all workers are ready"),
        ("status", "show how every worker stands"),
        ("stop", "end the pool when its workers have finished what they are doing"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the pool's config")
        action.add_argument("--pool", metavar="NAME", help="the pool's name, if it is not the config's")
        action.set_defaults(command="workers", action=name, foreground=False, now=False)
        if name == "start":
            action.add_argument("--foreground", action="store_true", help="stay, and stop the pool when interrupted")
        if name == "stop":
            action.add_argument("--now", action="store_true", help="do not wait for what the workers are doing")
    return whole


def _add_running(command: argparse.ArgumentParser) -> None:
    """The options of the commands that run something."""
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the YAML file that says what to run"
    )
    command.add_argument("--data", type=Path, metavar="PATH", help="the benchmark, instead of benchmark.data_path")
    command.add_argument("--categories", nargs="+", metavar="NAME", help="only these categories")
    command.add_argument("--limit", type=positive, metavar="N", help="only the first N pairs of each category")
    command.add_argument("--output-dir", type=Path, metavar="DIR", help="where reports, logs and runs go")
    command.add_argument("--pool", metavar="NAME", help="the pool to attach to or to launch")
    command.add_argument("--keep-warm", action="store_true", help="leave the pool up when the run has ended")
    command.add_argument("--no-launch", action="store_true", help="only attach to a pool that is up")
    command.add_argument(
        "--resume", metavar="RUN", help="go on with this run of the output folder: its id, or latest for the newest"
    )
    command.add_argument(
        "--max-failures",
        type=_limit,
        metavar="N",
        help="abort above so many failed pairs: a count (5) or a fraction (0.05)",
    )
    command.add_argument("--trace", action="store_true", help="write a timeline, trace.json in the run's folder")
    command.add_argument("--dry-run", action="store_true", help="check everything, load no model, run nothing")
    command.add_argument("--debug", action="store_true", help="log everything")


def _add_readers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that read what runs have left."""
    a_run = "a run's directory, its id, or latest for the newest"
    status = commands.add_parser(
        "status",
        help="how a run stands, from its files alone",
        description="Shows how a run stands, whether or not it is still running, from its files alone.",
    )
    status.add_argument("run", nargs="?", default="latest", metavar="RUN", help=f"{a_run} (the default)")
    status.add_argument("--json", action="store_true", help="for programs: one JSON object")
    status.set_defaults(command="status")
    report = commands.add_parser(
        "report",
        help="write a run's reports again, from its directory alone",
        description="Writes a run's reports and its pairs.csv again, from its directory alone. Exit codes: 0 every "
        "pair was done; 3 some are failed or missing; 2 there is no such run, or it or the human scores can't be read.",
    )
    report.add_argument("run", metavar="RUN", help=a_run)
    report.add_argument(
        "--human-scores",
        type=Path,
        metavar="FILE",
        help="a CSV of what people gave (category, pair_id, score): the report then says how far the reward agrees; "
        "later reports of the run keep it",
    )
    report.set_defaults(command="report")
    compare = commands.add_parser(
        "compare",
        help="compare runs pair by pair",
        description="Compares each run with the first one, pair by pair, and writes comparison_<ids>.md and .json. "
        "Exit codes: 0 it did; 4 a run is worse than --fail-if-worse allows; 2 there is no such run, or no pair has "
        "a score in both.",
    )
    compare.add_argument("run", metavar="RUN", help=f"what all others are compared with: {a_run}")
    compare.add_argument("others", nargs="+", metavar="RUN", help="what is compared with it")
    compare.add_argument(
        "--fail-if-worse",
        type=_not_negative,
        metavar="BY",
        help="exit 4 if the overall mean difference of any run, as estimated, is below -BY",
    )
    compare.set_defaults(command="compare")
    for command in (status, report, compare):
        text = "where runs are looked up by id (default: outputs), and where what is written goes"
        command.add_argument("--output-dir", type=Path, metavar="DIR", help=text)


def _stages(text: str) -> tuple[str, ...]:
    named = [word.strip() for word in text.split(",")]
    if not named or len(set(named)) < len(named) or not set(named) <= {"edit", "score"}:
        raise argparse.ArgumentTypeError(f"{text!r} is none of: edit, score, edit,score")
    return tuple(stage for stage in ("edit", "score") if stage in named)


def positive(text: str) -> int:
    """A whole number from 1 up, as an option's ``type``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return number


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return number


def _limit(text: str) -> int | float:
    try:
        return int(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count nor a fraction") from None
