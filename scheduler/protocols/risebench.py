"""RISEBench: consistency, reasoning and plausibility of each edit, from 1 to 5.

The file decides which edition of the script judges it: the 64 items of ``data_total.json`` the one of April 2025, the
360 of ``datav2_total_w_subtask.json`` the present one. Facts of an item are the fields of the file by their own names.
A field that any item has is a column of all, as in the table that the script makes of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
    Table,
    UnreadableReply,
    UnsuitableItem,
)
from scheduler.protocols.official import OfficialError, OfficialFiles, OfficialTexts, formatted
from scheduler.protocols.risebench_numbers import (
    CAUSAL,
    CONSISTENCY,
    LOGICAL,
    PLAUSIBILITY,
    REASONING,
    SPATIAL,
    TEMPORAL,
    first_numbers,
    first_score,
    null_stays,
    present,
    present_numbers,
    present_score,
)

PROMPTS = "utils.py"
PRESENT_COMMIT = "5f226519b25c005bb32fb83864bbd1845ab85c23"
FIRST_COMMIT = "3421af4f0e7316f3236bc0a4681c834c15e5fb91"
_SHOWN = ImageStep(longest_side=768, encoding="jpeg")
_SHOWN_FIRST = ImageStep(encoding="jpeg")  # the first script has the same limit, and does not pass it on
_PARAMETERS = {"temperature": 0, "max_new_tokens": 4096}
_NOT_FILLED_IN = ("prompt_generation", "prompt_spatial_qual", "prompt_logical_img_wo_q")
_DIMENSION = {"consistency": CONSISTENCY, "reasoning": REASONING, "plausibility": PLAUSIBILITY}

Asked = dict[str, tuple[str, tuple[str, ...]]]
"""By the name of the question: the name of the prompt's constant, and the images to show."""


class RiseBench(Protocol):
    """Both editions of RISEBench."""

    def __init__(self, table: Table, texts: OfficialTexts | None = None) -> None:
        """Raise ``OfficialError`` if the official files are those of the other edition."""
        super().__init__(table, texts)
        # The present script reads this column for each item, and ends if the file has none.
        self._is_first = "reasoning_img" not in table.columns and table.format != "risebench_v2"
        if texts is not None and _is_of_first(texts) not in (None, self._is_first):
            raise OfficialError(_mismatch(texts, is_first=self._is_first))

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        """Return the questions about an edit of this item."""
        if item.category not in (TEMPORAL, CAUSAL, SPATIAL, LOGICAL):
            raise UnsuitableItem(f"RISEBench has no category {item.category}")
        asked = self._first_questions(item) if self._is_first else self._present_questions(item)
        step = _SHOWN_FIRST if self._is_first else _SHOWN
        return [
            Question(
                name=name,
                parts=[
                    TextPart(text=self._prompt(constant, item)),
                    *(ImagePart(image=image, step=step, detail="high") for image in images),
                ],
            )
            for name, (constant, images) in asked.items()
        ]

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the questions, each with its dimensions."""
        if item.category == LOGICAL:
            if self._is_first:
                return {"logical": (REASONING, CONSISTENCY)}
            names = ["consistency", "reasoning"]
        else:
            names = list(_DIMENSION)
            if not self._is_first and present(item.facts, "consistency_free"):
                names.remove("consistency")
        return {name: (_DIMENSION[name],) for name in names}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:
        """Return the dimensions that the reply gives; for logical items 1 or 5."""
        found = final_scores(reply)
        names = self.expected(item)[question]
        if len(names) == 2 and len(found) >= 2:
            found = found[:2]  # the script takes the first two, whatever follows
        if len(found) != len(names):
            raise UnreadableReply(
                f"the reply has {counted(len(found), 'number')} as its final score; expected {len(names)}"
            )
        if item.category == LOGICAL:
            found = [4 * min(number, 1) + 1 for number in found]
        return dict(zip(names, map(float, found), strict=True))

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:
        """Return the item's score on the scale from 1 to 5."""
        if self._is_first:
            return first_score(item, dimensions)
        return present_score(item, dimensions, without_consistency=self._is_weighted_as_free(item))

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        """Return the rows of the table that the script writes, each value as ``row/column``."""
        if self._is_first:
            return first_numbers(items, self._dimensions)
        return present_numbers(items, self._dimensions, self._is_weighted_as_free)

    def _prompt(self, constant: str, item: ItemFacts) -> str:
        text = self.texts.constant(PROMPTS, constant)
        values = {"instruct": item.instruction, "reference": self._reference_text(item) or ""}
        return text if constant in _NOT_FILLED_IN else formatted(text, values)

    def _reference_text(self, item: ItemFacts) -> str | None:
        column = "reference_txt" if item.category == LOGICAL else "reference"
        if column not in self.table.columns:
            return item.reference
        text = item.facts.get(column)
        return text if isinstance(text, str) else None

    def _need_reference(self, item: ItemFacts) -> None:
        if self._reference_text(item) is None:
            raise UnsuitableItem("it has no reference: the authors' script would ask with the text nan in its place")

    def _is_weighted_as_free(self, item: ItemFacts) -> bool:
        """Whether the script gives consistency no weight. It takes what pandas has in the column for true or false."""
        if "consistency_free" not in self.table.columns:
            return False
        is_null = "consistency_free" in item.facts and not present(item.facts, "consistency_free")
        return not (is_null and null_stays(self.table, "consistency_free"))

    def _dimensions(self, item: ItemFacts) -> list[str]:
        return [name for names in self.expected(item).values() for name in names]

    def _first_questions(self, item: ItemFacts) -> Asked:
        shown = ("source", "edit")
        if item.category == LOGICAL:
            if self._reference_text(item) is not None:
                return {"logical": ("prompt_logical_txt", shown)}
            return {"logical": ("prompt_logical_img", (_reference_image(item), "edit"))}
        self._need_reference(item)
        spatial = item.category == SPATIAL
        return {
            "consistency": ("prompt_spatial_cons" if spatial else "prompt_consist", shown),
            "reasoning": ("prompt_spatial_ref" if spatial else "prompt_reasoning", ("edit",)),
            "plausibility": ("prompt_spatial_qual" if spatial else "prompt_generation", ("edit",)),
        }

    def _present_questions(self, item: ItemFacts) -> Asked:
        original, reasoning, shows_both = self._present_reasoning(item)
        if item.category == LOGICAL:
            consistency = "prompt_logical_cons" if shows_both else "prompt_logical_cons_ans"
        else:
            consistency = "prompt_spatial_cons" if item.category == SPATIAL else "prompt_consist"
        asked = {
            "consistency": (consistency, (original, "edit")),
            "reasoning": (reasoning, (original, "edit") if shows_both else ("edit",)),
            "plausibility": ("prompt_spatial_qual" if item.category == SPATIAL else "prompt_generation", ("edit",)),
        }
        if present(item.facts, "consistency_free") and (item.category == LOGICAL or not item.facts["consistency_free"]):
            raise UnsuitableItem(
                "it has a consistency_free with which the authors' script asks nothing about consistency, and then "
                "needs its score"
            )
        return {name: asked[name] for name in self.expected(item)}

    def _present_reasoning(self, item: ItemFacts) -> tuple[str, str, bool]:
        """Return the image that the edit is compared with, the prompt about reasoning, and whether it shows both."""
        with_source = present(item.facts, "reasoning_img")
        if item.category == LOGICAL:
            if self._reference_text(item) is not None:
                return "source", "prompt_logical_txt", False
            without_instruction = "reasoning_wo_ins" in self.table.columns
            prompt = "prompt_logical_img_wo_q" if without_instruction else "prompt_logical_img"
            return _reference_image(item), prompt, True
        if item.category == SPATIAL and "reference" in item.images:
            return "reference", "prompt_spatial_ref_img", True
        self._need_reference(item)
        prompt = "prompt_spatial_ref" if item.category == SPATIAL else "prompt_reasoning"
        return "source", f"{prompt}_w_input" if with_source else prompt, with_source


def final_scores(reply: str) -> list[int]:
    """Return the whole numbers after the first ``Final Score`` that is followed by one; raises ``UnreadableReply``.

    As the script does it: the singular goes before the plural, and digits of any script count.
    """
    for phrase in ("Final Score", "Final Scores"):
        for digits in re.findall(rf"\*?\*?{phrase}\*?\*?:?\s*([\d*\s,\n]*)", reply, re.IGNORECASE):
            numbers = re.findall(r"\d+", digits)
            if any(len(number) > 100 for number in numbers):
                raise UnreadableReply("the reply has a final score of more than 100 digits")
            if numbers:
                return [int(number) for number in numbers]
    raise UnreadableReply("the reply has no number as its final score")


def _reference_image(item: ItemFacts) -> str:
    if "reference" not in item.images:
        raise UnsuitableItem("it has neither reference_txt nor reference_img, one of which a logical item needs")
    return "reference"


def _is_of_first(texts: OfficialTexts) -> bool | None:
    """Whether the prompts are those of the first edition; None if they are of neither."""
    prompts = texts.contents[PROMPTS]
    return "prompt_logical_cons" not in prompts if "prompt_consist" in prompts else None


def _mismatch(texts: OfficialTexts, *, is_first: bool) -> str:
    found = "the first edition of RISEBench, of April 2025" if is_first else "the present edition of RISEBench"
    commit = FIRST_COMMIT if is_first else PRESENT_COMMIT
    other = (
        "or take the data of 360 items, datav2_total_w_subtask.json"
        if is_first
        else "or take data_total.json of that checkout"
    )
    return (
        f"the data is {found}, and {texts.folder} has the prompts of the other edition: "
        f"git -C {texts.folder} checkout {commit[:7]}, {other}"
    )


PROTOCOL = ProtocolType(
    name="risebench",
    meaning="RISEBench: consistency, reasoning and plausibility from 1 to 5; items with all of them 5 are complete.",
    formats=("risebench", "risebench_v2"),
    items={"risebench": 64, "risebench_v2": 360},
    dimensions=tuple(Dimension(name, 1, 5) for name in (CONSISTENCY, REASONING, PLAUSIBILITY)),
    scale=(1, 5),
    judge=Judge(("gpt-4.1-2025-04-14",), _PARAMETERS),
    judges={"risebench": Judge(("gpt-4o-2024-11-20",), _PARAMETERS)},
    commits={"risebench": FIRST_COMMIT},
    official=OfficialFiles(
        repository="https://github.com/PhoenixZ810/RISEBench",
        paths=(PROMPTS, "gpt_eval.py"),
        tried={
            PRESENT_COMMIT: {
                PROMPTS: "c8a693294768b7ceb355d98d3bc71f40c4fe51979a2e84ffc07f829764b676a3",
                "gpt_eval.py": "a67c2253da860e3e0e6aa71a9187fefc3137092b645a7f70030fc07425161fe9",
            },
            FIRST_COMMIT: {
                PROMPTS: "2549200b2d1b6da9769672ae1caf865dda7cb9f6e004afe4ac3485b5b2019f7a",
                "gpt_eval.py": "6b1e847e5cec311adce9055150d39639c496d0090741447e9419c851edb1ef82",
            },
        },
    ),
    make=RiseBench,
)
