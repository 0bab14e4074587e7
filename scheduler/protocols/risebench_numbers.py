"""How RISEBench adds up: the score of an item, and the table that the authors' script writes, in both editions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from scheduler.base.text import counted
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Numbers
from scheduler.protocols.readings import off_scale

CONSISTENCY, REASONING, PLAUSIBILITY = "ApprConsistency", "Reasoning", "VisualPlausibility"
TEMPORAL, CAUSAL, SPATIAL, LOGICAL = "temporal_reasoning", "causal_reasoning", "spatial_reasoning", "logical_reasoning"

_SUBTASKS = {
    "Temp": ("Life Progression", "Material Progression", "Environmental Cycles", "Societal Transformation"),
    "Causal": (
        "Structural Deformation",
        "State Transition",
        "Chemical and Biological Transformation",
        "Physics Manifestation",
    ),
    "Spa": (
        "Component Assembly",
        "Object Arrangement",
        "Viewpoint Generation",
        "Structural Inference",
        "Layout Reasoning",
    ),
    "Logic": ("Pattern Prediction", "Mathematical Derivation", "Puzzle Solving"),
}
_ROWS = {"Overall": None, "Temporal": TEMPORAL, "Causal": CAUSAL, "Spatial": SPATIAL, "Logical": LOGICAL}
_DIMENSION_ROWS = {
    "Overall_Reasoning": (None, REASONING),
    "Overall_ApprConsistency": (None, CONSISTENCY),
    "Overall_VisualPlausibility_total": (None, PLAUSIBILITY),
    **{
        f"{row}_{name}": (category, dimension)
        for row, category in _ROWS.items()
        if category is not None
        for name, dimension in {"Reasoning": REASONING, "Consistency": CONSISTENCY, "Quality": PLAUSIBILITY}.items()
        if (category, dimension) != (LOGICAL, PLAUSIBILITY)
    },
}
_FIRST_ROWS = {"overall": None, **{category: category for category in (CAUSAL, TEMPORAL, SPATIAL, LOGICAL)}}
_FIRST_DIMENSION_ROWS = {
    "Reasoning_total": (None, REASONING),
    "ImageConsistency_total": (None, CONSISTENCY),
    "GenearationQuality_total": (None, PLAUSIBILITY),
}

Expected = Callable[[ItemFacts], Iterable[str]]
"""The dimensions that an item is to have."""


def present(facts: Mapping[str, Any], name: str) -> bool:
    """Whether an item has a value in this column: neither null nor NaN."""
    value = facts.get(name)
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def first_score(item: ItemFacts, dimensions: Mapping[str, float]) -> float:
    """Return the item's score by the edition of April 2025."""
    if item.category == LOGICAL:
        return 0.4 * dimensions[CONSISTENCY] + 0.6 * dimensions[REASONING]
    return 0.4 * dimensions[CONSISTENCY] + 0.4 * dimensions[REASONING] + 0.2 * dimensions[PLAUSIBILITY]


def present_score(item: ItemFacts, dimensions: Mapping[str, float], *, without_consistency: bool) -> float:
    """Return the item's score by the present edition, half of it, but not under 1, if the reasoning is 1."""
    reasoning = dimensions[REASONING]
    if item.category == LOGICAL:
        score = 0.3 * dimensions[CONSISTENCY] + 0.7 * reasoning
    elif without_consistency:
        score = 0.2 * dimensions[PLAUSIBILITY] + 0.8 * reasoning
    else:
        score = 0.3 * dimensions[CONSISTENCY] + 0.5 * reasoning + 0.2 * dimensions[PLAUSIBILITY]
    return max(1.0, score * 0.5) if reasoning == 1 else score


def first_numbers(items: Sequence[JudgedItem], expected: Expected) -> Numbers:
    """Return the table of the edition of April 2025."""
    values: dict[str, float | None] = {}
    for row, category in _FIRST_ROWS.items():
        values |= _score_row(row, _of(items, category), expected)
    values |= _dimension_rows(_FIRST_DIMENSION_ROWS, items, expected)
    return Numbers(values, main="overall/Accuracy", deviations=off_scale(items, 1, 5))


def present_numbers(items: Sequence[JudgedItem], expected: Expected, *, free_column: bool) -> Numbers:
    """Return the table of the present edition. ``free_column``: an item of the file has ``consistency_free``.

    Then pandas has NaN where an item lacks it, which the script takes as true when it weights, and as false when it
    asks and when it counts complete items.
    """

    def is_mistaken(judged: JudgedItem) -> bool:
        return free_column and judged.item.category != LOGICAL and not present(judged.item.facts, "consistency_free")

    def corrected(judged: JudgedItem) -> float | None:
        if judged.score is None or not is_mistaken(judged):
            return judged.score
        return present_score(judged.item, judged.dimensions, without_consistency=False)

    values: dict[str, float | None] = {}

    def add(row: str, chosen: Sequence[JudgedItem]) -> None:
        values.update(_score_row(row, chosen, expected))
        if any(map(is_mistaken, chosen)):
            mean = _mean([corrected(judged) for judged in chosen])
            values[f"{row}/Score-Origin_corrected"] = mean
            values[f"{row}/Score-Percentage_corrected"] = _percent(mean)

    for row, category in _ROWS.items():
        add(row, _of(items, category))
    values |= _dimension_rows(_DIMENSION_ROWS, items, expected)
    for prefix, subtasks in _SUBTASKS.items():
        for subtask in subtasks:
            if chosen := [judged for judged in items if judged.item.task == subtask]:
                add(f"{prefix}-{subtask}", chosen)

    mistaken = sum(map(is_mistaken, items))
    fault = (
        f"The authors' script gives consistency no weight in {mistaken} of {counted(len(items), 'item')} though the "
        "judge was asked about it: they have no consistency_free, others do, and pandas' NaN counts as true. The "
        "scores are as the script computes them; those that end in _corrected give it its weight of 0.3."
    )
    return Numbers(values, main="Overall/Accuracy", deviations=((fault,) if mistaken else ()) + off_scale(items, 1, 5))


def _of(items: Sequence[JudgedItem], category: str | None) -> list[JudgedItem]:
    return [judged for judged in items if category in (None, judged.item.category)]


def _score_row(row: str, items: Sequence[JudgedItem], expected: Expected) -> dict[str, float | None]:
    mean = _mean([judged.score for judged in items])
    complete = [
        None if judged.score is None else float(all(judged.dimensions[name] == 5 for name in expected(judged.item)))
        for judged in items
    ]
    return {
        f"{row}/Score-Origin": mean,
        f"{row}/Score-Percentage": _percent(mean),
        f"{row}/Accuracy": _mean(complete),
    }


def _dimension_rows(
    rows: Mapping[str, tuple[str | None, str]], items: Sequence[JudgedItem], expected: Expected
) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for row, (category, dimension) in rows.items():
        chosen = [judged for judged in _of(items, category) if dimension in expected(judged.item)]
        # The script has no dimension of an item that lacks one of them.
        mean = _mean([None if judged.score is None else judged.dimensions[dimension] for judged in chosen])
        values[f"{row}/Score-Origin"] = mean
        values[f"{row}/Score-Percentage"] = _percent(mean)
    return values


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _percent(score: float | None) -> float | None:
    return None if score is None else 25 * (score - 1)
