"""``warmbench watch``: evaluates every checkpoint that a training writes, once it is complete, on warm workers."""

from __future__ import annotations

import argparse

from scheduler.base.stages import BOTH_STAGES
from scheduler.commands.arguments import not_negative, path, positive
from scheduler.commands.run import add_evaluation_arguments
from scheduler.report.series.gate import BEST, PREVIOUS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Evaluates every checkpoint that appears under a folder, once it is complete, one after the other on the same "
        "workers. Begun again, it goes on where it was. Exit codes: the first that applies of 130 interrupted; 1 "
        "aborted; 2 no checkpoint can be loaded, or the config or the command line is wrong; 4 --fail-if-worse found "
        "worse; 3 some pairs or checkpoints could not be done; 0."
    )
    add = parser.add_argument
    add("folder", type=path, metavar="DIR", help="the folder under which a training writes its checkpoints")
    add_evaluation_arguments(parser)
    add(
        "--order",
        choices=("oldest", "newest"),
        default="oldest",
        help="which of several checkpoints comes first, by step: the oldest (the default) or the newest",
    )
    add("--every", type=positive, default=1, metavar="N", help="only checkpoints whose step is a multiple of N")
    add("--from-step", type=positive, default=0, metavar="STEP", help="only checkpoints from this step on")
    add("--until", type=positive, metavar="STEP", help="only checkpoints up to this step; then end")
    add("--once", action="store_true", help="evaluate the checkpoints that are there, then end")
    add("--retry", action="store_true", help="try again the checkpoints that were found broken before")
    text = "how long a checkpoint must be unchanged to count as written (default 30)"
    add("--settle", type=not_negative, default=30.0, metavar="SECONDS", help=text)
    text = "how long an incomplete checkpoint must be unchanged to count as broken (default 600)"
    add("--broken-after", type=not_negative, default=600.0, metavar="SECONDS", help=text)
    add("--poll", type=not_negative, default=10.0, metavar="SECONDS", help="time between two looks (default 10)")
    text = "exit with 4 if the 95%% interval of the last checkpoint's paired difference lies wholly below -BY"
    add("--fail-if-worse", type=not_negative, metavar="BY", help=text)
    text = "what the last checkpoint is compared with: the previous one (the default), or the best of the others"
    add("--against", choices=(PREVIOUS, BEST), default=PREVIOUS, help=text)
    parser.set_defaults(
        images=None, layout=None, resume=None, shard=None, editor_model=None, editor_models=None, stages=BOTH_STAGES
    )


def execute(options: argparse.Namespace) -> int:
    from scheduler.commands.watching import check_and_watch  # takes half a second, and --help does not need it

    return check_and_watch(options)
