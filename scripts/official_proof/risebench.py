"""RISEBench: the checkout's own 64 items by the first edition, and made items with all that the present one reads."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.protocols.declaration import ItemFacts
from scripts.official_proof.declaration import KEY, Patch, Place, Proof, Reading, Replies
from scripts.official_proof.pictures import FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_MODEL = "edits"
_SUBTASKS = {
    "temporal_reasoning": ("Life Progression", "Environmental Cycles"),
    "causal_reasoning": ("Structural Deformation", "Physics Manifestation"),
    "spatial_reasoning": ("Component Assembly", "Viewpoint Generation", "Layout Reasoning"),
    "logical_reasoning": ("Pattern Prediction", "Puzzle Solving"),
}
_COLUMNS = ("Score-Origin", "Score-Percentage", "Accuracy")


def patches(place: Place) -> list[Patch]:
    """The address and the key."""
    return [
        Patch("gpt_eval.py", "'YOUR_API_KEY'", repr(KEY), "key"),
        Patch("gpt_eval.py", "'YOUR_API_BASE'", repr(f"{place.base_url}/chat/completions"), "address"),
    ]


def make_first(place: Place) -> None:
    """Take the data of the checkout, and make edits of it."""
    shutil.copytree(place.official / "data", place.data)
    _make_edits(place, json.loads((place.data / "data_total.json").read_text(encoding="utf-8")))


def make(place: Place, columns: Collection[str] = ()) -> None:
    """Write items of the present edition's file, with these columns beside those that it always has."""
    items = [
        _made_item(place.data, category, number, subtasks[number % len(subtasks)], columns)
        for category, subtasks in _SUBTASKS.items()
        for number in range(max(8, place.items // len(_SUBTASKS)))
    ]
    (place.data / "datav2_total_w_subtask.json").write_text(json.dumps(items, indent=1), encoding="utf-8")
    _make_edits(place, items)


def _made_item(folder: Path, category: str, number: int, subtask: str, columns: Collection[str]) -> dict[str, Any]:
    def image(name: str) -> str:
        file = FILES[(number + len(name)) % len(FILES)]
        return str(save_file(folder / f"{category}_images/{name}", file, (category, name)).relative_to(folder))

    item: dict[str, Any] = {
        "index": f"{category}_{number}",
        "category": category,
        "instruction": f"Change no. {number} of {{this}}: “älter”, 100%",
        "image": image(str(number)),
        "subtask": subtask,
        "reasoning_img": "shown" if number % 3 == 1 else None,
    }
    if category == "logical_reasoning":
        item |= {"reference_txt": f"the answer {number}"} if number % 2 else {"reference_img": image(f"{number}_ref")}
    elif category == "spatial_reasoning" and number % 4 == 2:
        item["reference_img"] = image(f"{number}_ref")
    else:
        item["reference"] = f"what {number} should show"
    if "consistency_free" in columns and category != "logical_reasoning" and number % 5 in (1, 2):
        item["consistency_free"] = True if number % 5 == 1 else None
    if "reasoning_wo_ins" in columns and number == 2:
        item["reasoning_wo_ins"] = True
    return item


def _make_edits(place: Place, items: Sequence[Mapping[str, Any]]) -> None:
    for number, item in enumerate(items):
        path = place.edits / _MODEL / f"images/{item['category']}/{item['index']}"
        save_file(path, FILES[number % 3], ("edit", item["index"]))


def theirs(place: Place, file: str = "datav2_total_w_subtask.json") -> Mapping[str, float]:
    """Run the script, which writes beside the edits: it gets a copy of them."""
    results = place.folder / "results"
    shutil.copytree(place.edits, results)
    place.run("gpt_eval.py", "--data", place.data / file, "--output", results / _MODEL, "--input", place.data)
    with (results / _MODEL / f"{_MODEL}_judge.csv").open(newline="", encoding="utf-8") as table:
        return {
            f"{row['-']}/{column}": float(row[column])
            for row in csv.DictReader(table)
            for column in _COLUMNS
            if row[column]
        }


_NUMBERS = ("0", "1", "2", "3", "4", "5", "5", "5", "5", "5", "7")
"""The script counts 0 and 7 as they are. Only items that have 5 in everything are complete."""


def answer(request: Request) -> str:
    """A final score in one of the forms that the script reads; two where the first edition asks for two."""
    chance = Chance(request)
    forms = ("**Final Score:** **{}**", "It is {}.\nFinal Score: {}", "**Final Scores**: {}/5", "final score\n{}")
    number = 2 if "X,Y" in request.texts[0] else 1
    numbers = ", ".join(chance.choice(_NUMBERS, position) for position in range(number))
    return chance.choice(forms, "form").replace("{}", numbers)


_PIECES = (
    "Final Score", "final scores", "Final Scores", "**", "*", ":", "：", " ", "\n", "4", "1", "0", "10", ", ", "/5",
    ".5", "none", "-", "Final", "Score", "s", "٤", "\u2003",
)  # fmt: skip


def draw(chance: random.Random) -> str:
    """Noise of the words that the script looks for."""
    noise = "".join(chance.choice(_PIECES) for _ in range(chance.randint(0, 10)))
    return chance.choice(("Final Score", "Thus.\n**Final Score", "")) + noise


_READ = """
import contextlib, io
from gpt_eval import extract
result = [extract(reply) for reply in arguments[0]]
"""


def read_by_them(place: Place, replies: Sequence[str]) -> list[Reading]:
    """The score, where the reply has one and not several, with which the script ends."""
    found = place.call(_READ, replies)
    return [{"Reasoning": scores[0]} if scores and len(scores) == 1 else None for scores in found]


def _proof(
    data: Callable[[Place], None], numbers: Callable[[Place], Mapping[str, float]] = theirs, **more: Any
) -> Proof:
    return Proof(
        protocol="risebench",
        copied=("gpt_eval.py", "utils.py"),
        patches=patches,
        make=data,
        theirs=numbers,
        answer=answer,
        replies=(Replies(ItemFacts("temporal_reasoning", "1", ""), "reasoning", draw, read_by_them),),
        **more,
    )


PROOF = _proof(
    partial(make, columns=("consistency_free",)),
    differences=("a missing consistency_free counts as true when scores are weighted (_corrected: it does not)",),
)
WITHOUT_INSTRUCTION = _proof(partial(make, columns=("reasoning_wo_ins",)))
FIRST = _proof(make_first, partial(theirs, file="data_total.json"), runs=({"format": "risebench"},))
