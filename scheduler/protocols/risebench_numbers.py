"""How RISEBench adds up: the score of an item, and the table that the authors' script writes, in both editions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.base.text import counted
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Numbers, Table
from scheduler.protocols.readings import off_scale, whole_mean

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


def null_stays(table: Table, name: str) -> bool:
    """Whether pandas keeps a null of this column, which is false, and does not make it NaN, which is true.

    A column of numbers, or of texts, has NaN; one of nothing but nulls, if an item lacks it.
    """
    kinds = set(table.kinds.get(name, ()))
    if kinds == {"null"}:
        return table.columns[name] == table.items
    return "null" in kinds and bool(kinds & {"boolean", "other"} or kinds >= {"number", "text"})


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
    entries = _Entries([_Entry.of(judged, expected, judged.score) for judged in items])
    values: dict[str, float | None] = {}
    for row, category in _FIRST_ROWS.items():
        values |= _score_row(row, entries.of(category))
    values |= _dimension_rows(_FIRST_DIMENSION_ROWS, entries)
    return Numbers(values, main="overall/Accuracy", deviations=off_scale(items, 1, 5))


def present_numbers(
    items: Sequence[JudgedItem], expected: Expected, is_weighted_as_free: Callable[[ItemFacts], bool]
) -> Numbers:
    """Return the table of the present edition.

    If an item of the file has ``consistency_free``, pandas has NaN where others lack it, which the script takes as true
    when it weights, and as false when it asks and when it counts complete items.
    """

    def entry(judged: JudgedItem) -> _Entry:
        item, right = judged.item, judged.score
        free = present(item.facts, "consistency_free")
        mistaken = item.category != LOGICAL and not free and is_weighted_as_free(item)
        if mistaken and right is not None:
            right = present_score(item, judged.dimensions, without_consistency=False)
        return _Entry.of(judged, expected, right, mistaken=mistaken)

    entries = _Entries(list(map(entry, items)))
    values: dict[str, float | None] = {}
    for row, category in _ROWS.items():
        values |= _score_row(row, entries.of(category))
    values |= _dimension_rows(_DIMENSION_ROWS, entries)
    for prefix, subtasks in _SUBTASKS.items():
        for subtask in subtasks:
            if chosen := entries.by_task.get(subtask):
                values |= _score_row(f"{prefix}-{subtask}", chosen)

    mistaken = sum(entry.mistaken for entry in entries.of(None))
    fault = (
        f"The authors' script gives consistency no weight in {mistaken} of {counted(len(items), 'item')} though the "
        "judge was asked about it: they have no consistency_free, others do, and pandas' NaN counts as true. The "
        "scores are as the script computes them; those that end in _corrected give it its weight of 0.3."
    )
    return Numbers(values, main="Overall/Accuracy", deviations=((fault,) if mistaken else ()) + off_scale(items, 1, 5))


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an item adds to the table. Without a score it has no value: the script has no dimension of an item then.

    ``right`` is the score without the fault of the script that ``mistaken`` tells of.
    """

    category: str
    task: str | None
    score: float | None
    right: float | None
    complete: float | None
    mistaken: bool
    dimensions: Mapping[str, float | None]

    @classmethod
    def of(cls, judged: JudgedItem, expected: Expected, right: float | None, *, mistaken: bool = False) -> _Entry:
        names = list(expected(judged.item))
        dimensions: dict[str, float | None] = dict.fromkeys(names)
        complete = None
        if judged.score is not None:
            dimensions = {name: judged.dimensions[name] for name in names}
            complete = float(all(value == 5 for value in dimensions.values()))
        return cls(judged.item.category, judged.item.task, judged.score, right, complete, mistaken, dimensions)


class _Entries:
    """All entries, by category and by task."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._all = entries
        self._by_category: dict[str, list[_Entry]] = {}
        self.by_task: dict[str | None, list[_Entry]] = {}
        for entry in entries:
            self._by_category.setdefault(entry.category, []).append(entry)
            self.by_task.setdefault(entry.task, []).append(entry)

    def of(self, category: str | None) -> Sequence[_Entry]:
        """Return those of a category, or all."""
        return self._all if category is None else self._by_category.get(category, [])


def _score_row(row: str, entries: Sequence[_Entry]) -> dict[str, float | None]:
    mean = whole_mean([entry.score for entry in entries])
    values = {
        f"{row}/Score-Origin": mean,
        f"{row}/Score-Percentage": _percent(mean),
        f"{row}/Accuracy": whole_mean([entry.complete for entry in entries]),
    }
    if any(entry.mistaken for entry in entries):
        right = whole_mean([entry.right for entry in entries])
        values |= {f"{row}/Score-Origin_corrected": right, f"{row}/Score-Percentage_corrected": _percent(right)}
    return values


def _dimension_rows(rows: Mapping[str, tuple[str | None, str]], entries: _Entries) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for row, (category, name) in rows.items():
        mean = whole_mean([entry.dimensions[name] for entry in entries.of(category) if name in entry.dimensions])
        values[f"{row}/Score-Origin"] = mean
        values[f"{row}/Score-Percentage"] = _percent(mean)
    return values


def _percent(score: float | None) -> float | None:
    return None if score is None else 25 * (score - 1)
