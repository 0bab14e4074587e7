"""What the log says of a resumed run: what is reused, what is done, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from scheduler.base.text import counted
from scheduler.run.resume import Remaining


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


def _counted(reasons: Counter[str]) -> str:
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{sum(reasons.values())} ({counts})"
