"""Refuses rows that no run can have written: a score outside of the scale, an image outside of the run.

Whoever changes a ledger by hand, or gives one away, must not decide what a report shows or which files are read.
"""

from __future__ import annotations

import logging
import math
import os.path
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.base.files import file_name
from scheduler.base.text import counted, one_line
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, FailureStage, Row, ScoredRow

log = logging.getLogger("warmbench")

_ROUNDING = 1e-9
"""By how much of the scale a combination of aspects may exceed it."""


def checked_rows(rows: Iterable[Row], run: Path, manifest: Mapping[str, Any]) -> Iterator[Row]:
    """Pass on the rows of the run in this folder, with a failure in place of each that cannot be right; log them."""
    # A protocol counts a judge's scores as its authors do, those outside of the scale too.
    ends = None if manifest.get("official") else score_range_of(manifest)
    anywhere = bool(manifest.get("edits"))  # images that were made elsewhere may lie anywhere
    count, first = 0, None
    without_edit: set[tuple[str, str, int]] = set()
    for row in rows:
        problem = None
        if isinstance(row, ScoredRow | AnsweredRow):
            if (row.category, row.pair_id, row.sample) in without_edit:
                continue
            problem = _dimensions_problem(row)
            if isinstance(row, ScoredRow):
                problem = problem or _score_problem(row, ends)
        elif isinstance(row, EditedRow) and not anywhere:
            problem = _image_problem(row, run)
            change = without_edit.discard if problem is None else without_edit.add
            change((row.category, row.pair_id, row.sample))
        if problem is None:
            yield row
            continue
        count += 1
        first = first or problem
        yield problem
    if first is not None:
        example = f"{one_line(first.category, 60)}/{one_line(first.pair_id, 60)}: {one_line(first.message, 300)}"
        log.warning("The ledger has %s, not used: %s", counted(count, "impossible row"), example)


def score_range_of(manifest: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the ends of the reward's scale; None if the manifest does not say them."""
    reward = manifest.get("reward")
    parameters = reward.get("parameters") if isinstance(reward, Mapping) else None
    ends = parameters.get("score_range") if isinstance(parameters, Mapping) else None
    if not isinstance(ends, list | tuple) or len(ends) != 2 or not all(isinstance(end, int | float) for end in ends):
        return None
    return float(ends[0]), float(ends[1])


def _score_problem(row: ScoredRow, ends: tuple[float, float] | None) -> FailedRow | None:
    low, high = ends or (-math.inf, math.inf)
    slack = (high - low) * _ROUNDING
    for score in (row.score, *(row.aspects or {}).values()):
        if not math.isfinite(score):
            return _failure(row, "score", "not_finite", f"the recorded score is {score}", pass_=row.pass_)
        if not low - slack <= score <= high + slack:
            message = f"the recorded score is {score:g}, outside of {low:g} to {high:g}"
            return _failure(row, "score", "out_of_range", message, pass_=row.pass_)
    return None


def _dimensions_problem(row: AnsweredRow | ScoredRow) -> FailedRow | None:
    question = row.question if isinstance(row, AnsweredRow) else None
    for name, value in (row.dimensions or {}).items():
        if not math.isfinite(value):
            message = f"the recorded {name} is {value}"
            return _failure(row, "score", "not_finite", message, pass_=row.pass_, question=question)
    return None


def _image_problem(row: EditedRow, run: Path) -> FailedRow | None:
    """An image lies within its run, or in a folder of its own (``image_output_dir``) under the names of its pair."""
    image = row.image
    if os.path.isabs(image):  # noqa: PTH117 - see scheduler/base/files.py
        parts = Path(image).parts
        inside = parts[-2:] == (file_name(row.category), f"{file_name(row.pair_id)}.png") and ".." not in parts
        inside = inside or (image.startswith(f"{run.absolute()}/") and ".." not in parts)
    else:
        inside = ".." not in image.split("/") and "\0" not in image
    if inside:
        return None
    return _failure(row, "edit", "outside_run", f"the recorded image {one_line(image, 300)} is outside of the run")


def _failure(
    row: EditedRow | AnsweredRow | ScoredRow,
    stage: FailureStage,
    kind: str,
    message: str,
    *,
    pass_: int | None = None,
    question: str | None = None,
) -> FailedRow:
    return FailedRow(
        category=row.category,
        pair_id=row.pair_id,
        sample=row.sample,
        pass_=pass_,
        question=question,
        identity=row.identity,
        stage=stage,
        kind=kind,
        message=message,
    )
