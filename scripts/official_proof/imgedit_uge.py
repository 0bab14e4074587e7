"""ImgEdit-Bench, UGE: one request an edit, one mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from scheduler.protocols.declaration import ItemFacts
from scripts.official_proof.declaration import KEY, Patch, Place, Proof, Reading, Replies
from scripts.official_proof.imgedit import READ, draw
from scripts.official_proof.pictures import EDITS, FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_FOLDER = "Benchmark/UGE"
_SCRIPT = f"{_FOLDER}/UGE_bench.py"
_MODEL = "edits"


def patches(place: Place) -> list[Patch]:
    """The address and the key."""
    return [
        Patch(_SCRIPT, 'base_url="url"', f'base_url="{place.base_url}"', "address"),
        Patch(_SCRIPT, 'api_key="your api-key"', f'api_key="{KEY}"', "key"),
    ]


def make(place: Place) -> None:
    """Write the items, their sources, and the edits."""
    items = {}
    for number in range(place.items):
        key = str(number + 1)
        source = save_file(place.data / f"{number:09d}", FILES[number % len(FILES)], ("source", number))
        items[key] = {"id": source.name, "prompt": f"Remove chair {number}, the one at the “door”."}
        save_file(place.edits / _MODEL / key, EDITS[number % len(EDITS)], ("edit", number))
    (place.data / "UGE_edit.json").write_text(json.dumps(items, indent=4), encoding="utf-8")


def theirs(place: Place) -> Mapping[str, float]:
    """Ask with one script, add up with the other."""
    edits = place.edits / _MODEL
    place.run(
        "UGE_bench.py", "--result_img_folder", edits, "--edit_json", place.data / "UGE_edit.json",
        "--origin_img_root", place.data, "--num_processes", "1", cwd=_FOLDER,
    )  # fmt: skip
    return {"average": float(place.run("get_average_score.py", "--result_json", edits / "result.json", cwd=_FOLDER))}


def answer(request: Request) -> str:
    """A rating in one of the forms that the authors' script reads."""
    chance = Chance(request)
    score = chance.whole(1, 5, "score")
    forms = (
        f"Brief reasoning: It is gone.\nScore: {score}",
        f"Score: {score}\nBrief reasoning: It is gone.",
        f"  : {score}\r\nConfidence: 4",
    )
    return chance.choice(forms, "form")


def read_by_them(place: Place, replies: Sequence[str]) -> list[Reading]:
    """The rounded mean of the lines."""
    found = place.call(READ.replace("MODULE", "get_average_score"), replies, cwd=_FOLDER)
    return [None if score is None else {"score": score} for score in found]


PROOF = Proof(
    protocol="imgedit_uge",
    copied=(_SCRIPT, f"{_FOLDER}/get_average_score.py"),
    patches=patches,
    make=make,
    theirs=theirs,
    answer=answer,
    replies=(Replies(ItemFacts("uge", "1", ""), "score", draw, read_by_them),),
    differences=("items with an unreadable reply leave the mean; here they fail",),
)
