"""``warmbench run``: edits and scores a benchmark."""

from __future__ import annotations

import argparse
import gc

from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.commands.arguments import count_or_fraction, given, path, positive, program, shard, typed
from scheduler.commands.workers import add_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Edits and scores a benchmark, and writes reports. Exit codes: 0 every pair was done; 2 the config, the data "
        "or the command line is wrong, and nothing was run; 3 finished, but some pairs could not be done; 1 aborted; "
        "130 interrupted."
    )
    add_run_arguments(parser)
    editors = parser.add_mutually_exclusive_group()
    editors.add_argument(
        "--editor-model", type=given, metavar="NAME", help="another checkpoint: a folder, or a name on the hub"
    )
    editors.add_argument(
        "--editor-models",
        nargs="+",
        type=given,
        metavar="NAME",
        help="a sweep: a run of each of these checkpoints, one after the other on the same workers; a name may be a "
        "pattern ('out/checkpoint-*'); with --resume, the sweep goes on",
    )
    parser.add_argument(
        "--stages",
        type=_stages,
        default=BOTH_STAGES,
        metavar="STAGES",
        help="the stages to do: edit, score, or edit,score (the default); score alone needs --resume",
    )
    parser.set_defaults(images=None, layout=None)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``run`` and ``score``."""
    add_evaluation_arguments(parser)
    text = (
        "only part I of N of the pairs that the other options choose, such as 2/8; `warmbench merge` makes one report"
    )
    parser.add_argument("--shard", type=shard, metavar="I/N", help=text)
    text = "resume this run of the output folder: its id, or latest for the newest"
    parser.add_argument("--resume", type=given, metavar="RUN", help=text)


def add_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that evaluates."""
    add = parser.add_argument
    add("--config", type=path, required=True, metavar="FILE", help="the YAML file that configures the run")
    add("--data", type=path, metavar="PATH", help="the benchmark, instead of benchmark.data_path")
    add("--categories", nargs="+", type=typed, metavar="NAME", help="only these categories")
    add("--limit", type=positive, metavar="N", help="only the first N pairs of each category")
    add("--output-dir", type=path, metavar="DIR", help="where reports, logs and runs are written")
    add("--pool", type=given, metavar="NAME", help="the pool to attach to or to launch, or the tcp://HOST:PORT of one")
    add_key(parser)
    add("--keep-warm", action="store_true", help="leave the pool up after the run")
    add("--no-launch", action="store_true", help="only attach to a pool that is up")
    text = "take over the edits and scores of this run where they are what this run would make; may be repeated"
    add("--reuse", type=given, action="append", default=[], metavar="RUN", help=text)
    add(
        "--max-failures",
        type=count_or_fraction,
        metavar="N",
        help="abort after more than N failed pairs: a count (5) or a fraction (0.05); pairs that were bad before "
        "the run do not count",
    )
    add("--trace", action="store_true", help="write a timeline, trace.json in the run's folder")
    add("--dry-run", action="store_true", help="check everything, load no model, run nothing")
    add("--name", type=_title, metavar="TEXT", help="the run's title; left out: the name of its checkpoint")
    text = (
        "run this command after the reports are written, with the figures in variables such as WARMBENCH_MEAN; "
        "its failure is only logged"
    )
    add("--on-result", type=program, metavar="COMMAND", help=text)
    add("--debug", action="store_true", help="log everything")


def execute(options: argparse.Namespace) -> int:
    if options.editor_models is not None:
        from scheduler.commands.sweep import check_and_sweep

        return check_and_sweep(options)
    gc.disable()  # until all is imported and read, which stays: to look through it again and again takes a tenth of it
    try:
        from scheduler.commands.start_run import check_and_run  # takes half a second, and --help does not need it

        return check_and_run(options)
    finally:
        gc.enable()


def _title(text: str) -> str:
    if not text.strip() or len(text) > 80 or not text.isprintable() or "/" in text or text == "latest":
        raise argparse.ArgumentTypeError(f"{text!r} is no title: 1 to 80 printable characters without '/', not latest")
    return text.strip()


def _stages(text: str) -> tuple[Stage, ...]:
    named = [word.strip() for word in text.split(",")]
    if len(set(named)) < len(named) or not set(named) <= set(BOTH_STAGES):
        raise argparse.ArgumentTypeError(f"{text!r} is none of: edit, score, edit,score")
    return tuple(stage for stage in BOTH_STAGES if stage in named)
