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
    by_category = {category: _Scores() for category in CATEGORIES}
    for judged in items:
        if judged.item.category in by_category:
            by_category[judged.item.category].add(judged)
    by_type = {name: _together(by_category[category] for category in _TYPES[name]) for name in _TYPES}

    values: dict[str, float | None] = {}
    for name, scores in by_type.items():
        for dimension, short in _dimensions(name).items():
            values[f"{name}/{short}"] = scores.mean(dimension)
        values[f"{name}/AVG"] = scores.mean()
    for group, types in _GROUPS.items():
        values[f"{group}/AVG"] = _together(by_type[name] for name in types).mean()
    values["Overall/AVG"] = _together(by_type.values()).mean()
    for name, categories in _TYPES.items():
        for category in categories:
            if by_category[category].items:
                for dimension, short in _dimensions(name).items():
                    values[f"{name}/{category}/{short}"] = by_category[category].mean(dimension)
    return Numbers(values, main="Overall/AVG", deviations=off_scale(items, 1, 5))


class _Scores:
    """The scores of some items: how many there are of each dimension, and their sum.

    One item without a score leaves all means open. The scripts drop it, all of its scores included.
    """

    def __init__(self) -> None:
        self.items = self.missing = 0
        self.sums = dict.fromkeys(_SHORT, 0.0)
        self.counts = dict.fromkeys(_SHORT, 0)

    def add(self, judged: JudgedItem) -> None:
        """Add those of an item."""
        self.items += 1
        if judged.score is None:
            self.missing += 1
            return
        for name in _SHORT:
            if name in judged.dimensions:
                self.sums[name] += normalized(judged.dimensions[name])
                self.counts[name] += 1

    def mean(self, *dimensions: str) -> float | None:
        """Return the mean over these dimensions, or over all."""
        names = dimensions or tuple(_SHORT)
        count = sum(self.counts[name] for name in names)
        return sum(self.sums[name] for name in names) / count if count and not self.missing else None


def _together(parts: Iterable[_Scores]) -> _Scores:
    result = _Scores()
    for part in parts:
        result.items += part.items
        result.missing += part.missing
        for name in _SHORT:
            result.sums[name] += part.sums[name]
            result.counts[name] += part.counts[name]
    return result


def _dimensions(type_name: str) -> dict[str, str]:
    return {name: short for name, short in _SHORT.items() if name != KNOWLEDGE or type_name in _KNOWLEDGE_TYPES}
