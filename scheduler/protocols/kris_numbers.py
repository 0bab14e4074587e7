"""How KRIS-Bench adds up: flat means of all scores of a dimension of knowledge, on a scale from 0 to 100."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scheduler.protocols.declaration import JudgedItem, Numbers
from scheduler.protocols.readings import off_scale

CONSISTENCY, QUALITY = "consistency_score", "quality_score"
INSTRUCTION, KNOWLEDGE = "instruction_score", "knowledge_score"
_SHORT = {CONSISTENCY: "VC", QUALITY: "VQ", INSTRUCTION: "IF", KNOWLEDGE: "KP"}

_TYPES: Mapping[str, tuple[str, ...]] = {
    "Attribute Perception": (
        "count_change",
        "color_change",
        "size_adjustment",
        "part_completion",
        "anomaly_correction",
    ),
    "Spatial Perception": ("viewpoint_change", "position_movement"),
    "Temporal Prediction": ("temporal_prediction",),
    "Social Science": ("humanities", "practical_knowledge"),
    "Natural Science": ("biology", "chemistry", "geography", "medicine", "mathematics", "physics"),
    "Logical Reasoning": ("abstract_reasoning", "rule-based_reasoning"),
    "Instruction Decomposition": ("multi-element_composition", "multi-instruction_execution"),
}
_KNOWLEDGE_TYPES = ("Social Science", "Natural Science", "Logical Reasoning")
_GROUPS = {
    "Factual Knowledge": ("Attribute Perception", "Spatial Perception", "Temporal Prediction"),
    "Conceptual Knowledge": ("Social Science", "Natural Science"),
    "Procedural Knowledge": ("Logical Reasoning", "Instruction Decomposition"),
}
CATEGORIES = frozenset(category for categories in _TYPES.values() for category in categories)
KNOWLEDGE_CATEGORIES = frozenset(category for name in _KNOWLEDGE_TYPES for category in _TYPES[name])


def normalized(score: float) -> float:
    """Return a score from 1 to 5 on the scale from 0 to 100."""
    return (score - 1) * 25


def summary(items: Sequence[JudgedItem]) -> Numbers:
    """Return the means by type of knowledge, group and category, each flat over all scores."""
    by_category: dict[str, list[JudgedItem]] = {}
    for judged in items:
        by_category.setdefault(judged.item.category, []).append(judged)

    def of(types: Iterable[str]) -> list[JudgedItem]:
        return [judged for name in types for category in _TYPES[name] for judged in by_category.get(category, ())]

    values: dict[str, float | None] = {}
    for name in _TYPES:
        for dimension, short in _dimensions(name).items():
            values[f"{name}/{short}"] = _mean(of([name]), [dimension])
        values[f"{name}/AVG"] = _mean_of_all(of([name]))
    for group, types in _GROUPS.items():
        values[f"{group}/AVG"] = _mean_of_all(of(types))
    values["Overall/AVG"] = _mean_of_all(of(_TYPES))
    for name, categories in _TYPES.items():
        for category in categories:
            if chosen := by_category.get(category):
                for dimension, short in _dimensions(name).items():
                    values[f"{name}/{category}/{short}"] = _mean(chosen, [dimension])
    return Numbers(values, main="Overall/AVG", deviations=off_scale(items, 1, 5))


def _dimensions(type_name: str) -> dict[str, str]:
    return {name: short for name, short in _SHORT.items() if name != KNOWLEDGE or type_name in _KNOWLEDGE_TYPES}


def _mean_of_all(items: Sequence[JudgedItem]) -> float | None:
    return _mean(items, list(_SHORT))


def _mean(items: Sequence[JudgedItem], dimensions: Sequence[str]) -> float | None:
    """Return the flat mean over these dimensions; None if there is no item, or one without a score.

    The scripts drop an item that lacks one of its scores, all others included.
    """
    if not items or any(judged.score is None for judged in items):
        return None
    values = [
        normalized(judged.dimensions[name]) for judged in items for name in dimensions if name in judged.dimensions
    ]
    return sum(values) / len(values)
