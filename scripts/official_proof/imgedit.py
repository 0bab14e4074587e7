"""ImgEdit-Bench, basic: one request an edit; the overall mean is the one of Bagel's fork."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

from scheduler.protocols.declaration import ItemFacts
from scheduler.protocols.imgedit import EDIT_TYPES
from scripts.official_proof.declaration import KEY, Patch, Place, Proof, Reading, Replies
from scripts.official_proof.pictures import EDITS, FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_FOLDER = "Benchmark/Basic"
_SCRIPT = f"{_FOLDER}/basic_bench.py"
_FORK = "eval/gen/imgedit/step2_typescore.py"
_MODEL = "edits"


def patches(place: Place) -> list[Patch]:
    """The address and the key."""
    return [
        Patch(_SCRIPT, 'base_url="url"', f'base_url="{place.base_url}"', "address"),
        Patch(_SCRIPT, 'api_key="api-key"', f'api_key="{KEY}"', "key"),
    ]


def make(place: Place) -> None:
    """Write the items, their sources in folders, and the edits in one."""
    items = {}
    for number in range(max(place.items, len(EDIT_TYPES))):
        key = str(1000 - number)
        folder = place.data / ("animal", "style")[number % 2]
        source = save_file(folder / f"{number:09d}", FILES[number % len(FILES)], ("source", number))
        name = f"{folder.name}/{source.name}"
        instruction = f"Add {number} “cats” to the {{left}}."
        items[key] = {"id": name, "prompt": instruction, "edit_type": EDIT_TYPES[number % len(EDIT_TYPES)]}
        save_file(place.edits / _MODEL / key, EDITS[number % len(EDITS)], ("edit", number))
    (place.data / "basic_edit.json").write_text(json.dumps(items, indent=4), encoding="utf-8")


def theirs(place: Place) -> Mapping[str, float]:
    """Ask, read and add up with the three scripts, the last one as in the fork."""
    if place.fork is None:
        raise RuntimeError("the authors print no overall mean; give the checkout of Bagel, which does, with --fork")
    edits, items = place.edits / _MODEL, place.data / "basic_edit.json"
    scores, types = place.folder / "scores.json", place.folder / "types.json"
    place.run(
        "basic_bench.py", "--result_img_folder", edits, "--edit_json", items, "--origin_img_root", place.data,
        "--prompts_json", "prompts.json", "--num_processes", "1", cwd=_FOLDER,
    )  # fmt: skip
    files = ("--result_json", edits / "result.json", "--average_score_json", scores)
    place.run("step1_get_avgscore.py", *files, cwd=_FOLDER)
    files = ("--average_score_json", scores, "--typescore_json", types)
    place.run("step2_typescore.py", *files, "--basic_edit", items, cwd=_FOLDER)
    numbers: dict[str, float] = json.loads(types.read_text())
    place.run(place.fork / _FORK, *files, "--edit_json", items)
    return numbers | {"overall": json.loads(types.read_text())["overall"]}


def answer(request: Request) -> str:
    """Ratings in one of the forms that the authors' script reads."""
    chance = Chance(request)
    first, second, third = (chance.whole(1, 5, number) for number in range(3))
    forms = (
        f"Brief reasoning: The cat is there.\nPrompt Compliance: {first}\nNaturalness: {second}\nDetail: {third}",
        f"  Style Fidelity: {first}  \r\n\r\nContent: {second}\r\nRendering: {third}\r\n",
        f"Reasoning: 3: 1 is too much\nOne: {first}\nTwo: {second}",
        f"One: {first}\nTwo: {second}\nThree: {third}\nFour: 12",
        f"Only: {first}\n**Two**: {second}/5\nThree:{third}",
    )
    return chance.choice(forms, "form")


_PIECES = (
    "Compliance: 4", "Score: 3\n", "a: b: 3", "Brief reasoning: good. x", "**S**: 5", "**S: 4**", "x: 12", "x:3", "\n",
    "\r\n", "  Q: 2  ", ": 1", "x: ²", "x: ５", "x: -1", "x: 3.5", "\u2028", "\v", " ", "x: 0",
)  # fmt: skip


def draw(chance: random.Random) -> str:
    """Lines that are nearly of the right form."""
    ends = ("\n", "\n", "")
    return "".join(chance.choice(_PIECES) + chance.choice(ends) for _ in range(chance.randint(0, 6)))


READ = """
from MODULE import extract_scores_and_average
result = []
for reply in arguments[0]:
    try:
        result.append(extract_scores_and_average(reply))
    except ValueError:
        result.append(None)
"""
"""What makes the function fail has no score."""


def read_by_them(place: Place, replies: Sequence[str]) -> list[Reading]:
    """The rounded mean of the lines."""
    found = place.call(READ.replace("MODULE", "step1_get_avgscore"), replies, cwd=_FOLDER)
    return [None if score is None else {"score": score} for score in found]


PROOF = Proof(
    protocol="imgedit",
    copied=tuple(
        f"{_FOLDER}/{name}"
        for name in ("basic_bench.py", "prompts.json", "step1_get_avgscore.py", "step2_typescore.py")
    ),
    patches=patches,
    make=make,
    theirs=theirs,
    answer=answer,
    replies=(Replies(ItemFacts("add", "1", ""), "score", draw, read_by_them),),
    differences=("items with an unreadable reply leave the means; here they fail",),
)
