"""KRIS-Bench: made items of each of its 20 categories, by the scripts in the repository of Bagel."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.protocols.declaration import ItemFacts
from scheduler.protocols.kris_numbers import CATEGORIES
from scripts.official_proof.declaration import Patch, Place, Proof, Reading, Replies
from scripts.official_proof.pictures import FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_FOLDER = "eval/gen/kris"
_MODEL = "edits"
_SCRIPTS = tuple(
    f"metrics_{name}" for name in ("common", "knowledge", "multi_element", "temporal_prediction", "view_change")
)
_CLIENT = """openai.AzureOpenAI(
    azure_endpoint=base_url,
    api_version=api_version,
    api_key=api_key,
)"""
_NAMES = ("consistency", "instruction", "quality", "knowledge")


def patches(place: Place) -> list[Patch]:
    """The address, and a call with an argument that its function lacks."""
    client = f"openai.OpenAI(base_url={place.base_url!r}, api_key=api_key)"
    return [
        *(Patch(f"{_FOLDER}/{name}.py", _CLIENT, client, "address") for name in _SCRIPTS),
        Patch(f"{_FOLDER}/summarize.py", ", max_score=5)", ")", "an argument that the function lacks"),
    ]


def make(place: Place) -> None:
    """Write the annotations and images of each category, and edits."""
    for category in sorted(CATEGORIES):
        number_of_items = max(4, place.items // len(CATEGORIES))
        items = {
            str(number): _made_item(place.data / category, category, number) for number in range(1, number_of_items + 1)
        }
        (place.data / category / "annotation.json").write_text(json.dumps(items), encoding="utf-8")
        for name in items:
            save_file(place.edits / _MODEL / category / name, FILES[0], ("edit", category, name))
    data = place.scripts / _FOLDER / "KRIS_Bench"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.symlink_to(place.data)


def _made_item(folder: Path, category: str, number: int) -> dict[str, Any]:
    def image(name: str) -> str:
        file = FILES[(number + len(category) + len(name)) % len(FILES)]
        return save_file(folder / name, file, (category, name)).name

    item: dict[str, Any] = {"ins_en": f"Change {{no.}} {number}: “älter”, 100%", "explain_en": f"it rots {number}"}
    if category == "temporal_prediction":
        missing = (number - 1) % 4 + 1
        item["ori_img"] = [image(f"{number}-{frame}") for frame in range(1, 5) if frame != missing]
        return item | {"gt_img": image(f"{number}-{missing}")}
    if category == "multi-element_composition":
        item["ori_img"] = [image(f"{number}-{part}") for part in range(1, number % 4 + 3)]
    else:
        item["ori_img"] = image(str(number))
    return item | {"gt_img": image(f"{number}_gt") if category == "viewpoint_change" else ""}


def theirs(place: Place) -> Mapping[str, float]:
    """Run all scripts, which write beside the edits: they get a copy of them."""
    results = place.folder / "results"
    shutil.copytree(place.edits, results)
    for script in _SCRIPTS:
        arguments = ("--results_dir", results, "--models", _MODEL, "--max_workers", "4")
        place.run(f"{_FOLDER}/{script}.py", *arguments)
    place.run(f"{_FOLDER}/summarize.py", "--results_dir", results / _MODEL)
    found = json.loads((results / _MODEL / "results.json").read_text(encoding="utf-8"))
    return _flat(found["summary"]) | _flat(found["subitems"])


def _flat(values: Mapping[str, Any]) -> dict[str, float]:
    result = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result.update({f"{name}/{inner}": number for inner, number in _flat(value).items()})
        else:
            result[name] = float(value)
    return result


def answer(request: Request) -> str:
    """All four scores in one of the forms that the scripts read."""
    chance = Chance(request)
    scores = {name: chance.whole(1, 5, name) for name in _NAMES}
    reply = json.dumps({f"{name}_score": score for name, score in scores.items()} | {"reasoning": "1. It is so."})
    forms = (
        reply,
        f"Step 1 {{of 2}} is fine.\n```json\n{reply}\n```",
        reply.replace("}", ",}"),  # no JSON any more
        "\n".join(f"{name.title()} score: {score}" for name, score in scores.items()),
        "\n".join(f'"{name}_score": {score}' for name, score in scores.items()) + "\nSo 4/5.",
    )
    return chance.choice(forms, "form")


_PIECES = (
    "{", "}", '"consistency_score"', '"instruction_score"', '"knowledge_score"', ":", ": 4", ': "3"', ": 7", ": null",
    ": 2.6", ": true", ': "x"', ",", '"reasoning": "a"', "4/5", " 3 out of 5 ", "1. ", "5", "consistency score: 2",
    "Instruction_Score：4", ' "knowledge_score" : 3', "knowledge  score:5", "\n", " ", "text", "[1,2]", "{}", "[]", "0",
    "12", ": []", ": NaN", ": Infinity", ": 1e3", '{"instruction_score": 4, "knowledge_score": 2}',
    '{"consistency_score": 5, "reasoning": "c"}', '{"instruction_score": 4, "x": {"y":1}, "knowledge_score": "5"}', '"',
)  # fmt: skip


def draw(chance: random.Random) -> str:
    """Noise of the words and forms that the scripts look for."""
    return "".join(chance.choice(_PIECES) for _ in range(chance.randint(0, 9)))


_READ = """
sys.argv[1:] = ["--results_dir", "."]
import metrics_common, metrics_knowledge
result = []
for reply in arguments[1]:
    try:
        result.append({reader})
    except Exception:
        result.append(None)
"""


def read_by_them(place: Place, replies: Sequence[str], *, reader: str) -> list[Reading]:
    """The scores, where the reply has all that are asked for."""
    found = place.call(_READ.replace("{reader}", reader), None, replies, cwd=_FOLDER)
    return [scores if scores and None not in scores.values() else None for scores in found]


def _replies(category: str, question: str, reader: str) -> Replies:
    images = ("source", "source_2") if category == "temporal_prediction" else ("source",)
    return Replies(ItemFacts(category, "1", "", images=images), question, draw, partial(read_by_them, reader=reader))


_CONSISTENCY = '{"consistency_score": %s(reply)[0]}'

PROOF = Proof(
    protocol="kris",
    copied=tuple(f"{_FOLDER}/{name}.py" for name in ("prompts", *_SCRIPTS, "summarize")),
    patches=patches,
    make=make,
    theirs=theirs,
    answer=answer,
    replies=(
        _replies("color_change", "consistency", _CONSISTENCY % "metrics_common.extract_consistency_score_and_reason"),
        _replies("biology", "consistency", _CONSISTENCY % "metrics_knowledge.extract_consistency_score_and_reason"),
        _replies(
            "temporal_prediction",
            "consistency",
            '{"consistency_score": metrics_common.extract_score_and_reason(reply, "consistency_score", ["reason"])[0]}',
        ),
        _replies(
            "biology",
            "dual_score",
            "{name: score for name, score in metrics_knowledge.extract_dual_scores(reply).items() if 'score' in name}",
        ),
    ),
    differences=("none that change a number; the quality of an edit is asked about with the label of the original",),
)
