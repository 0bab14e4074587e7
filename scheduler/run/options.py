"""What the command line asks of a run, beside the config, and what to type to go on with it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.benchmark.edits_elsewhere import EditsElsewhere


@dataclass(frozen=True)
class RunOptions:
    """``arguments`` is all of the command line, for the way to resume. ``resume``: the directory is that of an earlier
    part of the run. ``edits`` were made elsewhere: then there is no stage but ``score``.
    """

    keep_warm: bool = False
    no_launch: bool = False
    resume: bool = False
    trace: bool = False
    arguments: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = BOTH_STAGES
    edits: EditsElsewhere | None = None

    def keeps_images(self, configured: bool) -> bool:
        """Whether images stay when they are scored: also where they are all that a run makes, or not its own."""
        return configured or "score" not in self.stages or self.edits is not None


def resume_command(arguments: Sequence[str], run: str, *, stages: Sequence[Stage] | None = None) -> str:
    """What to type to go on with the run, given what was typed to begin it, or to go on with it before. ``stages``: do
    these, instead of those that were done.
    """
    replaced = ("--resume", "--stages") if stages else ("--resume",)
    kept, words = [], iter(arguments)
    for word in words:
        if word in replaced:
            next(words, None)
        elif not word.startswith(tuple(f"{option}=" for option in replaced)):
            kept.append(word)
    program = os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("warmbench") else f"{sys.executable} -m scheduler"
    asked = ["--stages", ",".join(stages)] if stages else []
    return f"{program} {shlex.join([*kept, *asked, '--resume', run])}"


def resume_problem(manifest: Mapping[str, Any], run: str, edits: EditsElsewhere | None) -> str | None:
    """Why this run can't be gone on with so, given its manifest; None if it can: its edits stay of one kind."""
    elsewhere = manifest.get("edits")
    place = elsewhere.get("from") if isinstance(elsewhere, dict) else None
    if place is not None and edits is None:
        return f"run {run} judges edits made elsewhere: go on with it by `warmbench score --images {place} ...`"
    if manifest and place is None and edits is not None:
        return f"run {run} makes its edits itself: go on with it by `warmbench run`, or leave --resume out"
    return None
