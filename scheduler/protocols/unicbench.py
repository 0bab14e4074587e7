"""UnicBench, from https://github.com/WeChatCV/UnicBench.

Each edit is asked about three times: instruction following, consistency of what was not to change, visual quality; an
edit that needs reasoning a fourth time. An item's score is the geometric mean of the ratings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from scheduler.protocols.declaration import (
    Dimension,
    ItemFacts,
    Judge,
    JudgedItem,
    Numbers,
    Protocol,
    ProtocolType,
    UnreadableReply,
    UnsuitableItem,
)
from scheduler.protocols.official import OfficialFiles, filled
from scheduler.protocols.readings import off_scale, score_value, whole_mean

REASONING_TASK = "Reasoning Editing"
REASONING_POINTS = "reasoning_points"

_PROMPTS = "data/prompts.py"
_ALWAYS = ("IF", "NC", "VQ")
_REASONING = "RA"
_AS_JPEG = ImageStep(rgb=True, encoding="jpeg")
LANGUAGES = ("en", "cn")


class UnicBench(Protocol):
    """The rules of UnicBench."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        if item.language not in LANGUAGES:
            raise UnsuitableItem(f"the language of its instruction is {item.language!r}; expected en or cn")
        values = {"<instruction>": item.instruction}
        points = {"<reasoning_points>": json.dumps(item.facts.get(REASONING_POINTS))}
        prompts = {name: self.texts.constant(_PROMPTS, f"_prompts_{name.lower()}") for name in self.expected(item)}
        images = [ImagePart(image=name, step=_AS_JPEG) for name in ("source", "edit")]
        return [
            Question(
                name=name,
                parts=[TextPart(text=filled(prompt, values | points if name == _REASONING else values)), *images],
            )
            for name, prompt in prompts.items()
        ]

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        reasoning = item.task == REASONING_TASK and REASONING_POINTS in item.facts
        return {name: (name,) for name in (*_ALWAYS, *([_REASONING] if reasoning else []))}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:  # noqa: ARG002 - the same for all
        text = reply.replace("```json", "").replace("```", "").strip().replace("(", "[").replace(")", "]")
        try:
            value: Any = json.loads(text)["score"]
            return {question: score_value(float(value))}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UnreadableReply(f"the reply is no JSON object with a score: {error}") from error

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:
        ratings = [dimensions[name] for name in self.expected(item)]
        return float(math.prod(ratings) ** (1 / len(ratings)))

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        values: dict[str, float | None] = {}
        items = _completed(items)
        for language in LANGUAGES:
            chosen = [judged for judged in items if judged.item.language in (language, None)]
            if not any(judged.item.language for judged in chosen):
                continue
            values |= self._means(f"{language}/overall", chosen)
            for group, name_of in (("by_task", _task), ("by_subtask", _subtask)):
                for name in filter(None, dict.fromkeys(map(name_of, chosen))):
                    of_group = [judged for judged in chosen if name_of(judged) == name]
                    values |= self._means(f"{language}/{group}/{name}", of_group)
        main = next((name for name in values if name.endswith("/overall/overall_mean")), "en/overall/overall_mean")
        return Numbers(values or {main: None}, main, off_scale(items, 0, 10))

    def _means(self, name: str, items: Sequence[JudgedItem]) -> dict[str, float | None]:
        means = {f"{kind.lower()}_mean": [judged.dimensions.get(kind) for judged in items] for kind in _ALWAYS}
        means["overall_mean"] = [judged.score for judged in items]
        reasoning = [judged for judged in items if _REASONING in self.expected(judged.item)]
        if reasoning:
            means["ra_mean"] = [judged.dimensions.get(_REASONING) for judged in reasoning]
        return {f"{name}/{kind}": whole_mean(values) for kind, values in means.items()}


def _task(judged: JudgedItem) -> str | None:
    return judged.item.task


def _subtask(judged: JudgedItem) -> str:
    return judged.item.category


def _completed(items: Sequence[JudgedItem]) -> list[JudgedItem]:
    """Give items that could not be loaded the task of their subtask, which decides whether they need reasoning."""
    tasks = {judged.item.category: judged.item.task for judged in items if judged.item.loaded}

    def completed(item: ItemFacts) -> ItemFacts:
        return structs.replace(item, task=tasks.get(item.category), facts={REASONING_POINTS: None})

    return [j if j.item.loaded else structs.replace(j, item=completed(j.item)) for j in items]


PROTOCOL = ProtocolType(
    name="unicbench",
    meaning="UnicBench: instruction, consistency, quality and reasoning, by task and subtask.",
    formats=("unicbench",),
    items={"unicbench": 1100},
    dimensions=tuple(Dimension(name, 0, 10) for name in (*_ALWAYS, _REASONING)),
    scale=(0, 10),
    judge=Judge(("gpt-4.1-2025-04-14", "gpt-4.1"), {"temperature": 0.1, "max_new_tokens": 2048}),
    official=OfficialFiles(
        repository="https://github.com/WeChatCV/UnicBench",
        paths=(_PROMPTS,),
        tried={
            "24c13be072020348ca19e70f0e57df4c30a8495c": {
                _PROMPTS: "130a596f45e911c92ad0adb121053f60cf071cd2247818367c19f766839ad9fa"
            }
        },
    ),
    make=UnicBench,
)
