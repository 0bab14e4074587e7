"""KRIS-Bench, as the evaluation in the repository of Bagel judges it: seven types of knowledge in 20 categories.

Facts of an item: ``ori_img``, the names of its images, which hold the numbers of the frames of temporal prediction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from scheduler.base.text import counted
from scheduler.protocols.declaration import (
    Dimension,
    ItemFacts,
    Judge,
    JudgedItem,
    Numbers,
    Protocol,
    ProtocolType,
    UnsuitableItem,
)
from scheduler.protocols.kris_numbers import (
    CATEGORIES,
    CONSISTENCY,
    INSTRUCTION,
    KNOWLEDGE,
    KNOWLEDGE_CATEGORIES,
    QUALITY,
    normalized,
    summary,
)
from scheduler.protocols.kris_replies import common_score, dual_scores, knowledge_score, plain_score
from scheduler.protocols.official import OfficialFiles, formatted

_FOLDER = "eval/gen/kris"
_PROMPTS = f"{_FOLDER}/prompts.py"
_AS_IT_IS = ImageStep(media_type="image/jpeg")
_AS_JPEG = ImageStep(rgb=True, encoding="jpeg", quality=85)

Kind = Literal["common", "knowledge", "viewpoint", "temporal", "composition"]
_READERS: Mapping[Kind, Callable[[str, str], float]] = {
    "common": common_score,
    "knowledge": knowledge_score,
    "viewpoint": common_score,
    "temporal": plain_score,
    "composition": plain_score,
}
_PROMPT_NAMES: Mapping[Kind, tuple[str, str]] = {
    "common": ("prompt_consist", "prompt_instruction_following"),
    "knowledge": ("prompt_consist", "prompt_dual_evaluation"),
    "viewpoint": ("prompt_consist", "prompt_view_instruction_following"),
    "temporal": ("prompt_consist_temporal", "prompt_instruction_temporal"),
    "composition": ("prompt_consist_multi", "prompt_instruction_multi"),
}

Shown = list[tuple[str, str]]
"""Images in order, each with the label before it."""


class Kris(Protocol):
    """KRIS-Bench."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        """Return the questions about an edit of this item."""
        if item.category not in CATEGORIES:
            raise UnsuitableItem(f"KRIS-Bench has no category {item.category}")
        kind = _kind(item)
        prompts = (*_PROMPT_NAMES[kind], "prompt_quality")
        values = {"instruct": item.instruction, "explanation": item.reference or ""}
        step = _AS_JPEG if kind == "temporal" else _AS_IT_IS
        return [
            Question(
                name=name,
                parts=[
                    TextPart(text=self._prompt(prompt, values)),
                    *(
                        part
                        for label, image in shown
                        for part in (TextPart(text=label), ImagePart(image=image, step=step))
                    ),
                ],
            )
            for name, prompt, shown in zip(self.expected(item), prompts, _shown(item, kind), strict=True)
        ]

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the questions, each with its dimensions."""
        instruction: dict[str, tuple[str, ...]] = {"instruction_following": (INSTRUCTION,)}
        if _kind(item) == "knowledge":
            instruction = {"dual_score": (INSTRUCTION, KNOWLEDGE)}
        return {"consistency": (CONSISTENCY,), **instruction, "image_quality": (QUALITY,)}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:
        """Return the dimensions that the reply gives."""
        names = self.expected(item)[question]
        if question == "dual_score":
            return dict(zip(names, dual_scores(reply), strict=True))
        return {name: _READERS[_kind(item)](reply, name.removesuffix("_score")) for name in names}

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:
        """Return the mean of the item's scores on the scale from 0 to 100."""
        values = [normalized(dimensions[name]) for names in self.expected(item).values() for name in names]
        return sum(values) / len(values)

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        """Return what the summary of the fork prints, and the means of the categories."""
        return summary(items)

    def _prompt(self, name: str, values: Mapping[str, str]) -> str:
        text = self.texts.constant(_PROMPTS, name)
        # The one prompt that the scripts do not fill in keeps its doubled braces.
        return text if name == "prompt_quality" else formatted(text, values)


def _kind(item: ItemFacts) -> Kind:
    if item.category in KNOWLEDGE_CATEGORIES:
        return "knowledge"
    special: dict[str, Kind] = {
        "viewpoint_change": "viewpoint",
        "temporal_prediction": "temporal",
        "multi-element_composition": "composition",
    }
    return special.get(item.category, "common")


def _shown(item: ItemFacts, kind: Kind) -> tuple[Shown, Shown, Shown]:
    """Return the images of the three questions: consistency, instruction, quality."""
    sources = [name for name in item.images if name == "source" or name.startswith("source_")]
    alone = [("This is the image to evaluate:", "edit")]
    if kind == "temporal":
        frames = _frames(item, sources)
        return frames, frames, alone
    if kind == "composition":
        images = [(f"Reference Image {place}:", name) for place, name in enumerate(sources, 1)]
        images.append(("Predicted Image:", "edit"))
        return images, images, alone
    if len(sources) > 1:
        raise UnsuitableItem(f"it has {len(sources)} source images; in {item.category} the scripts take one")
    both = [("This is the original image:", "source"), ("This is the edited image:", "edit")]
    if kind == "common":
        # The script passes the edit in the place of the original.
        return both, both, [("This is the original image:", "edit")]
    if kind == "knowledge":
        return both, both, both[1:]
    if "ground_truth" not in item.images:
        raise UnsuitableItem("it has no gt_img, which the question about the viewpoint shows")
    return both, [*both, ("This is the ground truth image:", "ground_truth")], both[1:]


def _frames(item: ItemFacts, sources: Sequence[str]) -> Shown:
    """Return the frames of a sequence in order, the edit in its place among them."""
    numbers = list(_frame_numbers(item))
    if len(numbers) != len(sources):
        raise UnsuitableItem(
            f"{len(numbers)} of its {counted(len(sources), 'image')} have the number of their frame in their name, as "
            "in 7-2.jpg"
        )
    missing = {1, 2, 3, 4} - set(numbers)
    edit = missing.pop() if len(missing) == 1 else max(numbers) + 1
    frames = [(number, "Reference", name) for number, name in zip(numbers, sources, strict=True)]
    frames.append((edit, "Generated", "edit"))
    frames.sort(key=lambda frame: frame[0])
    return [(f"Frame {number} ({what}):", name) for number, what, name in frames]


def _frame_numbers(item: ItemFacts) -> Iterator[int]:
    names = item.facts.get("ori_img")
    for name in names if isinstance(names, Sequence) and not isinstance(names, str) else ():
        match = re.search(r"(\d+)-(\d+)", str(name))
        if match and len(match[2]) < 10:
            yield int(match[2])


_TRIED = {
    f"{_FOLDER}/{name}.py": sha256
    for name, sha256 in {
        "prompts": "5c4efd450ffcc85c4088d5d6966df24e1d9f56ac8c17a10d04f65893cc915a45",
        "metrics_common": "4d24c7602f389b497a4ef89db37f545744891c7a6cf021fa2798accc03bcb943",
        "metrics_knowledge": "44f1136e63f0c6325489dc4bbbc07fb93edd395797096cd18d961c2d379417fa",
        "metrics_multi_element": "6be545948a9f7610a45f5a39cd55a5b2ff4439b6ebd1029708aa902bf0c06440",
        "metrics_temporal_prediction": "bcd6c58ded52720fc9455725d7b2bc3fbeda136d393058db8d033fe1e7255af8",
        "metrics_view_change": "89d22daf6987e44c65ddb787c3cfd95516209307b36adcb1c994a5063381499d",
        "summarize": "b6998b4c9d683f9d307d56bf51cde12ebb834345023aefc0738dbd58795bbaab",
    }.items()
}

PROTOCOL = ProtocolType(
    name="kris",
    meaning="KRIS-Bench as Bagel's repository evaluates it: consistency, instruction, knowledge, quality; 0 to 100.",
    formats=("kris",),
    items={"kris": 1267},
    dimensions=tuple(Dimension(name, 1, 5) for name in (CONSISTENCY, INSTRUCTION, KNOWLEDGE, QUALITY)),
    scale=(0, 100),
    judge=Judge(("gpt-4o-2024-11-20",), {"max_new_tokens": 1000, "temperature": None}),
    official=OfficialFiles(
        repository="https://github.com/ByteDance-Seed/Bagel",
        paths=tuple(_TRIED),
        tried={"056b5fd51a88c1eb4547318609e25d40080fcf87": _TRIED},
    ),
    make=Kris,
)
