"""What the log says of a run that has results already: what is reused, what is done, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from scheduler.base.text import counted
from scheduler.run.planner import Remaining
from scheduler.run.reuse import OtherRun
from scheduler.store.manifest_differences import manifest_differences

_FIRST = 3
"""How many runs from which nothing was taken over are named."""


def summary(remaining: Remaining, stages: Collection[str]) -> list[str]:
    """Log lines: what is reused and what is done in these stages, and why."""
    edits = remaining.reused_edits + len(remaining.edits)
    scores = remaining.reused_scores + sum(remaining.score_reasons.values())
    reused = {
        "edit": f"{remaining.reused_edits} of {counted(edits, 'edit')}",
        "score": f"{remaining.reused_scores} of {counted(scores, 'score')}",
    }
    lines = [f"Reused: {', '.join(text for stage, text in reused.items() if stage in stages)}"]
    for stage, reasons in (("edit", remaining.edit_reasons), ("score", remaining.score_reasons)):
        if reasons and stage in stages:
            lines.append(f"To {stage}: {_counted(reasons)}")
    if remaining.missing:
        lines.append(f"Edits that are missing, and are not made: {_counted(remaining.missing)}")
    if remaining.left_out:
        pairs = counted(len(remaining.left_out), "pair")
        lines.append(f"Left out: {pairs} of the ledger that this run does not ask for")
    return lines


def reuse_lines(remaining: Remaining, runs: Sequence[OtherRun], manifest: Mapping[str, Any]) -> Iterator[str]:
    """Log lines: what was taken over from which runs; if nothing was, how they differ from this one."""
    nothing = True
    for run in runs:
        edits, scores = remaining.taken_edits[run.run], remaining.taken_scores[run.run]
        if edits or scores:
            nothing = False
            yield f"Taken over from {run.name}: {counted(edits, 'edit')}, {counted(scores, 'score')}"
    for run in runs[:_FIRST] if nothing else ():
        yield f"Nothing was taken over from {run.name}"
        yield from (f"  {line}" for line in manifest_differences(run.manifest, manifest))
    if nothing and len(runs) > _FIRST:
        yield f"... nor from {counted(len(runs) - _FIRST, 'more run')}"


def _counted(reasons: Counter[str]) -> str:
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{sum(reasons.values())} ({counts})"
