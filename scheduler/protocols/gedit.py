"""GEdit-Bench: VIEScore for edits, from https://github.com/stepfun-ai/Step1X-Edit.

One request rates how well the edit follows the instruction (SC), with the source; one rates its quality (PQ), without.
Each gives a list of scores, of which the lowest counts. The main number is a mean over the means of 11 groups.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

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

GROUPS = (
    "background_change", "color_alter", "material_alter", "motion_change", "ps_human", "style_change",
    "subject-add", "subject-remove", "subject-replace", "text_change", "tone_transfer",
)  # fmt: skip
LANGUAGES = ("en", "cn")
INTERSECTION = "intersection"

_PROMPTS = "GEdit-Bench/viescore/vie_prompts.py"
_RULES = {
    "SC": ("_context_no_delimit", "_prompts_0shot_two_image_edit_rule", "_prompts_0shot_tie_rule_SC"),
    "PQ": ("_context_no_delimit", "_prompts_0shot_rule_PQ"),
}
_SOURCE = ImagePart(image="source", step=ImageStep(upright=True, rgb=True, encoding="jpeg"))
_EDIT = ImagePart(image="edit", step=ImageStep(upright=True, rgb=True, size_of="source", encoding="jpeg"))


class GEdit(Protocol):
    """The rules of GEdit-Bench."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        if item.category not in GROUPS:
            raise UnsuitableItem(f"its group {item.category!r} is none of the benchmark's 11")
        if item.language not in LANGUAGES:
            raise UnsuitableItem(f"the language of its instruction is {item.language!r}; expected en or cn")
        texts = {
            name: "\n".join(self.texts.constant(_PROMPTS, constant) for constant in constants)
            for name, constants in _RULES.items()
        }
        consistency = filled(texts["SC"], {"<instruction>": item.instruction})
        return (
            Question(name="SC", parts=[TextPart(text=consistency), _SOURCE, _EDIT]),
            Question(name="PQ", parts=[TextPart(text=texts["PQ"]), _EDIT]),
        )

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002 - the same for every item
        return {name: (name,) for name in _RULES}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:  # noqa: ARG002 - likewise
        try:
            lowest = min(_scores(reply))
        except (TypeError, ValueError) as error:
            raise UnreadableReply(f"its list of scores has no lowest one: {error}") from error
        return {question: score_value(lowest)}

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:  # noqa: ARG002 - likewise
        return math.sqrt(dimensions["SC"] * dimensions["PQ"])

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        values: dict[str, float | None] = {}
        for language in LANGUAGES:
            known = [judged for judged in items if judged.item.loaded and judged.item.language == language]
            if not known:
                continue
            unknown = [j for j in items if not j.item.loaded and j.item.language in (language, None)]
            intersection = [judged for judged in known if INTERSECTION in judged.item.subsets]
            if len(known) > len(intersection):  # else the others were not selected
                values |= _means(f"full/{language}", [*known, *unknown])
            if intersection:
                values |= _means(f"{INTERSECTION}/{language}", [*intersection, *unknown])
        main = next((name for name in values if name.endswith("/Average/O")), "full/en/Average/O")
        return Numbers(values or {main: None}, main, off_scale(items, 0, 10))


def _means(name: str, items: Sequence[JudgedItem]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    averages: dict[str, list[float | None]] = {"SC": [], "PQ": [], "O": []}
    for group in GROUPS:
        of_group = [judged for judged in items if judged.item.category == group]
        for kind, means in averages.items():
            means.append(whole_mean(j.score if kind == "O" else j.dimensions.get(kind) for j in of_group))
            values[f"{name}/{group}/{kind}"] = means[-1]
    return values | {f"{name}/Average/{kind}": whole_mean(means) for kind, means in averages.items()}


_DELIMITER = "||V^=^V||"
_TWO_SCORES = re.compile(r"\[\d+, ?\d+\]")


def _scores(reply: str) -> list[Any]:
    """Return the list of scores as the authors' script finds it, whatever its elements are."""
    if reply.count(_DELIMITER) == 2:
        text = reply[reply.find(_DELIMITER) + len(_DELIMITER) : reply.rfind(_DELIMITER)]
    elif "{" in reply and "}" in reply:
        text = reply[reply.find("{") : reply.rfind("}") + 1]
    else:
        return _bare_scores(reply)
    text = text.strip().replace("\n", "")
    try:
        scores = json.loads(text)["score"]
        return scores if isinstance(scores, list) else [scores]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        scores = json.loads(_repaired(text))["score"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableReply("the reply has no JSON object with scores, nor one that can be repaired") from error
    if not isinstance(scores, list):
        raise UnreadableReply("the scores of the repaired JSON are no list")
    return scores


def _bare_scores(reply: str) -> list[Any]:
    listed = reply[reply.find("[") : reply.rfind("]") + 1]
    if _TWO_SCORES.fullmatch(listed):
        try:
            return list(json.loads(listed))
        except ValueError as error:  # such as [08, 9]
            raise UnreadableReply(f"the reply's list is no JSON: {error}") from error
    try:
        if 0 <= int(reply) <= 10:
            return [int(reply)]
    except ValueError:
        pass
    raise UnreadableReply("the reply has no JSON object, no list of two whole numbers, and is not one from 0 to 10")


_KEY = re.compile(r"(?<!\w)(\w++):")
_END = re.compile("[,}]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WORD = re.compile("true|false|null", re.IGNORECASE)


def _repaired(text: str) -> str:
    """Repair JSON as the authors' script does: quote keys and values, make numbers lists. Takes linear time."""
    text = _KEY.sub(r'"\1":', text)
    pieces: list[str] = []
    position = 0
    while True:
        start = text.find('"', position)
        colon = text.find('":', start + 1)
        if start < 0 or colon < 0:
            break
        end = _END.search(text, colon + 2)
        if end is None:
            break
        value = text[colon + 2 : end.start()].strip()
        if _NUMBER.fullmatch(value):
            value = f"[{value}]"
        elif not _WORD.fullmatch(value):
            value = f'"{value}"'
        pieces += text[position:start], text[start : colon + 1], ": ", value, end.group()
        position = end.end()
    return "".join(pieces) + text[position:]


PROTOCOL = ProtocolType(
    name="gedit",
    meaning="GEdit-Bench: VIEScore of SC and PQ, full and intersection, English and Chinese.",
    formats=("gedit",),
    items={"gedit": 1212, "gedit/en": 606, "gedit/cn": 606},
    dimensions=(Dimension("SC", 0, 10), Dimension("PQ", 0, 10)),
    scale=(0, 10),
    judge=Judge(("gpt-4.1", "gpt-4.1-2025-04-14"), {"temperature": None, "max_new_tokens": 1400}),
    official=OfficialFiles(
        repository="https://github.com/stepfun-ai/Step1X-Edit",
        paths=(_PROMPTS,),
        tried={
            "570eba6ebda0c45c013983a483afbf2fd12bfcbc": {
                _PROMPTS: "010234af186eb0a70fcb99047cd32ad1da01bed59ca1a95a01335426417cf838"
            }
        },
    ),
    make=GEdit,
)
