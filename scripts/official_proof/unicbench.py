"""UnicBench: three or four requests an edit, in English and in Chinese."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.protocols.declaration import ItemFacts
from scheduler.protocols.unicbench import LANGUAGES, REASONING_POINTS, REASONING_TASK
from scripts.official_proof.declaration import Patch, Place, Proof, Reading, Replies
from scripts.official_proof.pictures import EDITS, FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_CLIENT = "models/gpt4p1.py"
_PIPELINE = "eval/eval_pipeline.py"
_MODEL = "edits"
_JUDGE = "gpt-4.1"
_SUBTASKS = {
    "Background Change": "Scene Editing",
    "Color Alteration": "Attribute Editing",
    "Object Addition": "Object Editing",
    "Compound Operation Edits": REASONING_TASK,
    "Spatial Edits": REASONING_TASK,
}


def patches(place: Place) -> list[Patch]:
    """The address, the shape of the reply, and torch, which the script only seeds."""
    proxy = "the client expects the reply of a proxy of the authors'"
    return [
        Patch(_CLIENT, "https://api.openai.com/v1/chat/completions", f"{place.base_url}/chat/completions", "address"),
        Patch(_CLIENT, "res_json.get('msg', None)", "'success'", proxy),
        Patch(_CLIENT, "res_json['response']", "res_json['choices'][0]['message']['content']", proxy),
        Patch(_PIPELINE, "import torch\n", "from unittest.mock import MagicMock\ntorch = MagicMock()\n", "torch"),
    ]


def make(place: Place) -> None:
    """Write the items, a line each, their sources, and the edits in both languages."""
    lines = []
    for number in range(max(place.items, len(_SUBTASKS))):
        subtask = list(_SUBTASKS)[number % len(_SUBTASKS)]
        key = f"{number:032x}"
        source = save_file(place.data / "images" / key, FILES[number % len(FILES)], ("source", number))
        item: dict[str, Any] = {
            "key": key,
            "task": _SUBTASKS[subtask],
            "subtask": subtask,
            "cn": f"把第 {number} 项中的“背景”换成夜景。",
            "en": f"Replace the {{background}} of item {number} — with a (night) view.",
            "image_path": f"images/{source.name}",
        }
        if _SUBTASKS[subtask] == REASONING_TASK:
            item[REASONING_POINTS] = ["The “wall” is gone.", f"There are {number} lamps; 灯是亮的。"]
        lines.append(json.dumps(item, ensure_ascii=False))
        for language in LANGUAGES:
            edit = place.edits / _MODEL / "_".join(subtask.split()) / language / key
            save_file(edit, EDITS[number % len(EDITS)], ("edit", language, number))
    (place.data / "test_data.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def theirs(place: Place) -> Mapping[str, float]:
    """Ask and add up with the authors' script."""
    place.run(
        "eval_pipeline.py", "--data_path", place.data / "test_data.jsonl", "--image_dir", place.data,
        "--save_dir", place.edits, "--edit_model_name", _MODEL, "--vlm_model_name", _JUDGE,
        "--languages", *LANGUAGES, "--num_workers", "4", cwd="eval",
    )  # fmt: skip
    numbers: dict[str, float] = {}
    for language in LANGUAGES:
        file = place.edits / _MODEL / "eval_output" / _JUDGE / "statistics" / f"{language}_statistics.json"
        found = json.loads(file.read_text(encoding="utf-8"))
        groups = {"overall": found["overall"]} | {
            f"{by}/{name}": values for by in ("by_task", "by_subtask") for name, values in found[by].items()
        }
        numbers |= {
            f"{language}/{group}/{name}": value
            for group, values in groups.items()
            for name, value in values.items()
            if name.endswith("_mean")
        }
    return numbers


def answer(request: Request) -> str:
    """A rating in one of the forms that the authors' script reads."""
    chance = Chance(request)
    score = chance.whole(0, 10, "score")
    forms = (
        f'{{"score": {score}, "reason": "It is (nearly) right."}}',
        f'```json\n{{\n   "score": {score},\n   "reason": "right"\n}}\n```',
        f'{{"score": "{score}.5"}}',
        f'```{{"reason": "much", "score": {score + 2}}}```',
    )
    return chance.choice(forms, "form")


_PIECES = (
    '{"score": 8, "reason": "x"}', "```json\n", "```", "(", ")", '{"score": ', '"7"', "7.5", "true", "null", "NaN",
    "[8]", ', "reason": "(a)"}', "}", '"x"', "[]", " ", "1e3", '"nan"', '{"score": "9", "a": (1,2)}', "5",
)  # fmt: skip


_VALUES = ("8", "7.5", '"9"', "0", "12", "true", "null", "NaN", '"high"', "[8]", "(8)", '"1_0"', "1e3", "-0.0", "{}")


def draw(chance: random.Random) -> str:
    """A reply that is nearly of the right form, or pieces of one."""
    if chance.random() < 0.5:
        reply = f'{{"score": {chance.choice(_VALUES)}, "reason": "(fine)"}}'
        fence = chance.choice(("", "```", "```json\n"))
        return f"{fence}{reply}{chance.choice((fence, '', ' ', chance.choice(_PIECES)))}"
    return "".join(chance.choice(_PIECES) for _ in range(chance.randint(0, 4)))


_READ = """
import math
from eval_pipeline import UnicBenchEvaluator
result = []
for reply in arguments[0]:
    found = UnicBenchEvaluator._parse_vlm_response(None, reply)
    failed = found["reason"] == "Parse error" or not math.isfinite(found["score"])
    result.append(None if failed else found["score"])
"""


def read_by_them(place: Place, replies: Sequence[str]) -> list[Reading]:
    """The score; where it is 0 because of an error, there is none."""
    return [None if score is None else {"IF": score} for score in place.call(_READ, replies, cwd="eval")]


PROOF = Proof(
    protocol="unicbench",
    copied=(_CLIENT, _PIPELINE, "data/prompts.py"),
    patches=patches,
    make=make,
    theirs=theirs,
    answer=answer,
    replies=(Replies(ItemFacts("Color Alteration", "k", ""), "IF", draw, read_by_them),),
    runs=tuple({"language": language} for language in LANGUAGES),
    differences=("an unreadable reply counts as 0; here it fails",),
)
