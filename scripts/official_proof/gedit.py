"""GEdit-Bench: two requests an edit, in two languages; Chinese is added up by the authors' own function."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.protocols.declaration import ItemFacts
from scheduler.protocols.gedit import GROUPS, INTERSECTION, LANGUAGES
from scripts.official_proof.declaration import KEY, Patch, Place, Proof, Reading, Replies
from scripts.official_proof.pictures import EDITS, FILES, save_file
from scripts.official_proof.requests import Chance
from tests.openai_request import Request

_FOLDER = "GEdit-Bench"
_MODEL = "edits"
_DELIMITER = "||V^=^V||"
_INSTRUCTIONS = {"en": "Make the {thing} of item %d 7% larger.", "cn": "把第 %d 项中的“物体”放大一些。"}
_MAKE_DATA = """
import base64
from datasets import Dataset, DatasetDict, Features, Image, Value
rows, sources, folder = arguments
for row in rows:
    row["input_image"] = row["input_image_raw"] = {"bytes": base64.b64decode(row["input_image"]), "path": None}
text = Value("string")
features = Features({
    "key": text, "task_type": text, "instruction": text, "instruction_language": text, "input_image": Image(),
    "input_image_raw": Image(), "Intersection_exist": Value("bool"),
})
data = DatasetDict({"train": Dataset.from_list(rows, features=features)})
data.save_to_disk(folder)
for row, path in zip(data["train"], sources):
    row["input_image"].save(path)
result = None
"""


def patches(place: Place) -> list[Patch]:
    """The address, the key, the data, and the iteration over splits in the place of rows."""
    data = f'load_from_disk({str(place.data)!r})["train"]'
    return [
        Patch(
            f"{_FOLDER}/viescore/mllm_tools/openai.py",
            "https://api.openai.com/v1/chat/completions",
            f"{place.base_url}/chat/completions",
            "address",
        ),
        Patch(
            f"{_FOLDER}/test_gedit_score.py",
            'load_dataset("stepfun-ai/GEdit-Bench")',
            data,
            "data; the script iterates over the splits of a data set, which are names",
        ),
    ]


def make(place: Place) -> None:
    """Write the data set as ``datasets`` saves it, and edits; the sources beside them are saved as its users do."""
    rows: list[dict[str, Any]] = []
    sources = []
    for number in range(max(place.items, len(GROUPS) * len(LANGUAGES))):
        pair = number // 2
        language, group, key = LANGUAGES[number % 2], GROUPS[pair % len(GROUPS)], f"{pair:032x}"
        source = save_file(place.folder / "sources" / key, FILES[pair % len(FILES)], ("source", pair))
        rows.append(
            {
                "key": key,
                "task_type": group,
                "instruction": _INSTRUCTIONS[language].replace("%d", str(number)),
                "instruction_language": language,
                "input_image": base64.b64encode(source.read_bytes()).decode(),
                "Intersection_exist": pair < len(GROUPS) or number % 3 == 0,
            }
        )
        edit = place.edits / _MODEL / "fullset" / group / language / key
        save_file(edit, EDITS[number % len(EDITS)], ("edit", number))
        sources.append(str(edit.with_name(f"{key}_SRCIMG.png")))
    place.call(_MAKE_DATA, rows, sources, str(place.data))
    (place.scripts / _FOLDER / "secret_t2.env").write_text(f"{KEY}\n")


_ANALYZE = """
import calculate_statistics
model, folder, language = arguments
found = calculate_statistics.analyze_scores(folder, [model], language)
result = [dict(each[model]) for each in found]
"""


def theirs(place: Place) -> Mapping[str, float]:
    """Ask with the authors' script, and add up with the function behind the other one, which rounds when it prints."""
    place.run(
        "test_gedit_score.py", "--model_name", _MODEL, "--save_path", place.edits, "--backbone", "gpt4o", cwd=_FOLDER
    )
    folder = place.edits / _MODEL / "gpt4o" / "eval_results_new"
    numbers = {}
    for language in LANGUAGES:
        found = place.call(_ANALYZE, _MODEL, str(folder), language, cwd=_FOLDER)
        for position, values in enumerate(found):
            subset, kind = ("full", INTERSECTION)[position // 3], ("SC", "PQ", "O")[position % 3]
            for name, value in values.items():
                numbers[f"{subset}/{language}/{name if name in GROUPS else 'Average'}/{kind}"] = value
    return numbers


def answer(request: Request) -> str:
    """Scores in one of the forms that the authors' script reads at the first try."""
    chance = Chance(request)
    first, second = chance.whole(0, 10, 1), chance.whole(0, 10, 2)
    scores = f"[{first}, {second}]"
    forms = (
        f'{{"score": {scores}, "reasoning": "The edit {{is}} fine."}}',
        f'```json\n{{\n"score" : [{first}.5, {second}],\n"reasoning" : "fine"\n}}\n```',
        f'{_DELIMITER}\n{{"score": {scores}}}\n{_DELIMITER}',
        f'{{"score": {first}, "reasoning": "one number"}}',
        f"{{score: {first}, reasoning: fine}}",
        f'{{"score": {scores}, "reasoning": "cut o',
        f"The scores are {scores}.",
        str(first),
        f'{{"score": [{first + 2}, {second + 3}]}}',
    )
    return chance.choice(forms, "form")


_PIECES = (
    "{", "}", "[", "]", '"', "score", '"score"', ":", ": ", " :", ", ", ",", "8", "10", "3.5", "0", "12", _DELIMITER,
    "\n", "reasoning", '"fine"', "null", "NaN", "'", " ", "[8, 9]", '{"score": [8, 9], "reasoning": "ok"}', "08", '"8"',
    "```json", "\t", "é", "７",
)  # fmt: skip
_VALUES = ("[8, 9]", "7", "[3.5]", '"8"', "[]", "null", "[0, 2]", "12", '[1, "2"]', "[[8], [9]]", "{}", "1e400", "-0")


def draw(chance: random.Random) -> str:
    """A reply that is nearly of the right form, or noise of the same words."""
    if chance.random() < 0.5:
        return "".join(chance.choice(_PIECES) for _ in range(chance.randint(0, 14)))
    parts = [
        "{", chance.choice(('"score"', "score")), chance.choice((":", " :", ": ")), chance.choice(_VALUES),
        chance.choice((",", "")), chance.choice(('"reasoning"', "reasoning")), chance.choice((":", ": ")),
        chance.choice(('"a: b, c"', "plain text", '"x"', '"say "so""')), chance.choice(("}", "", " }")),
    ]  # fmt: skip
    if chance.random() < 0.3:
        parts[chance.randrange(len(parts))] = chance.choice(_PIECES)
    reply = "".join(parts)
    return chance.choice((reply, reply, f"{_DELIMITER}{reply}{_DELIMITER}", f"Sure! {reply} Done."))


_READ = """
import contextlib, io, math
sys.path.insert(0, "viescore")
import utils
result = []
for reply in arguments[0]:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            lowest = min(utils.mllm_output_to_dict(reply)["score"])
            result.append(float(lowest) if math.isfinite(math.sqrt(lowest * 5)) else None)
        except Exception:
            result.append(None)
"""


def read_by_them(place: Place, replies: Sequence[str]) -> list[Reading]:
    """The lowest score of the first try, where a score can be made of it."""
    found = place.call(_READ, replies, cwd=_FOLDER)
    return [None if lowest is None else {"SC": lowest} for lowest in found]


PROOF = Proof(
    protocol="gedit",
    copied=(
        f"{_FOLDER}/test_gedit_score.py",
        f"{_FOLDER}/calculate_statistics.py",
        f"{_FOLDER}/viescore/__init__.py",
        f"{_FOLDER}/viescore/utils.py",
        f"{_FOLDER}/viescore/vie_prompts.py",
        f"{_FOLDER}/viescore/mllm_tools",
    ),
    patches=patches,
    make=make,
    theirs=theirs,
    answer=answer,
    replies=(Replies(ItemFacts("ps_human", "k", "", language="en"), "SC", draw, read_by_them),),
    differences=("an unreadable reply is asked for again, with the other one, and then guessed; here it fails",),
)
