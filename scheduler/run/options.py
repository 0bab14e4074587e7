"""What the command line asks of a run, beside the config, and the command that resumes it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from scheduler.base.shard import Shard
from scheduler.base.stages import Stage
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.store.shard_facts import shard_facts

if TYPE_CHECKING:  # the help of a command does without sockets
    from scheduler.pool.address import PoolAddress


class RunOptions(Struct, frozen=True):
    """``arguments`` is the whole command line, from which the command to resume is made. ``resume``: the directory is
    that of an earlier part of the run. ``pool`` is where the pool is, if that is on another machine. ``name`` is the
    run's title.
    """

    keep_warm: bool = False
    no_launch: bool = False
    resume: bool = False
    trace: bool = False
    pool: PoolAddress | None = None
    arguments: tuple[str, ...] = ()
    name: str | None = None


def keeps_images(configured: bool, stages: Sequence[Stage], edits: EditsElsewhere | None) -> bool:
    """Whether images stay after scoring: also where they are the run's only result, or not its own."""
    return configured or "score" not in stages or edits is not None


def resume_command(arguments: Sequence[str], run: str, *, stages: Sequence[Stage] | None = None) -> str:
    """The command that resumes the run, made from the ``arguments`` that began or resumed it. ``stages`` replaces the
    stages that those asked for.
    """
    replaced = ("--resume", "--stages") if stages else ("--resume",)
    kept, words = [], iter(arguments)
    for word in words:
        if word in replaced:
            next(words, None)
        elif not word.startswith(tuple(f"{option}=" for option in replaced)):
            kept.append(word)
    chosen = ["--stages", ",".join(stages)] if stages else []
    return command_line([*kept, *chosen, "--resume", run])


def command_line(arguments: Sequence[str]) -> str:
    """This program with these arguments, to be typed."""
    program = os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("warmbench") else f"{sys.executable} -m scheduler"
    return f"{program} {shlex.join(arguments)}"


_OF_SEVERAL: Mapping[str, int | None] = {
    "--editor-models": None,
    **dict.fromkeys(("--name", "--order", "--every", "--from-step", "--until", "--settle", "--broken-after"), 1),
    **dict.fromkeys(("--poll", "--fail-if-worse", "--against"), 1),
    **dict.fromkeys(("--once", "--retry"), 0),
}
"""Options of sweeps and watches that a run of one checkpoint does not have, and how many words follow; None: any."""


def of_one_checkpoint(arguments: Sequence[str], model: str) -> tuple[str, ...]:
    """The command line of one run, made from that of a sweep or watch."""
    kept: list[str] = []
    following, any_number = 0, False
    for word in arguments:
        if following:
            following -= 1
            continue
        name, equals, _ = word.partition("=")
        if name in _OF_SEVERAL:
            count = _OF_SEVERAL[name]
            following, any_number = (0 if equals else count or 0), count is None and not equals
            continue
        any_number = any_number and not word.startswith("-")
        if not any_number:
            kept.append(word)
    return (*kept, "--editor-model", model)


def resume_problem(
    manifest: Mapping[str, Any], run: str, edits: EditsElsewhere | None, shard: Shard | None
) -> str | None:
    """Why this run cannot be resumed with these options: all its edits come from one place, and it is one shard. None
    if it can.
    """
    elsewhere = manifest.get("edits")
    place = elsewhere.get("from") if isinstance(elsewhere, dict) else None
    if place is not None and edits is None:
        return f"run {run} judges edits made elsewhere: go on with it by `warmbench score --images {place} ...`"
    if manifest and place is None and edits is not None:
        return f"run {run} makes its edits itself: go on with it by `warmbench run`, or leave --resume out"
    known = shard_facts(manifest)
    if known is not None and known.shard != shard:
        return f"run {run} is shard {known.shard}: resume it with --shard {known.shard}"
    if manifest and known is None and shard is not None:
        return f"run {run} is no shard: leave --shard out, or leave --resume out to begin a run of shard {shard}"
    return None
