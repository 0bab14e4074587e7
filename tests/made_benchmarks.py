"""Small public benchmarks: data and official files as their authors lay them out, with texts and images of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scheduler.protocols.gedit import GROUPS
from scheduler.protocols.imgedit import EDIT_TYPES
from scheduler.protocols.kris import PROTOCOL as KRIS
from tests.scheduler.benchmark.make import image_bytes
from tests.scheduler.protocols import test_gedit, test_kris, test_risebench, test_unicbench


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def constants(path: Path, texts: Mapping[str, str]) -> None:
    """A module with these constants."""
    put(path, "".join(f"{name} = {text!r}\n" for name, text in texts.items()))


def images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        put(folder / name, image_bytes((40 + number, 32)))


def gedit(data: Path, official: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "key": f"{group}-{language}", "task_type": group, "instruction": f"{group} in {language}",
            "instruction_language": language, "Intersection_exist": language == "en",
            "input_image": {"bytes": image_bytes((40 + number, 32)), "path": None},
            "input_image_raw": {"bytes": image_bytes((80 + number, 64)), "path": None},
        }
        for number, group in enumerate(GROUPS) for language in ("en", "cn")
    ]  # fmt: skip
    data.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), data / "train-00000-of-00001.parquet")
    constants(official / "GEdit-Bench" / "viescore" / "vie_prompts.py", test_gedit.PROMPTS)


def imgedit(data: Path, official: Path) -> None:
    images(data / "Benchmark" / "singleturn", *(f"{name}/1.jpg" for name in EDIT_TYPES))
    items = {
        str(number): {"id": f"{name}/1.jpg", "prompt": f"{name} it", "edit_type": name}
        for number, name in enumerate(EDIT_TYPES)
    }
    put(data / "basic_edit.json", json.dumps(items))
    prompts = {name: f"Rate {name}: <edit_prompt>" for name in EDIT_TYPES}
    put(official / "Benchmark" / "Basic" / "prompts.json", json.dumps(prompts))


def imgedit_uge(data: Path, official: Path) -> None:
    imgedit(data, official)
    images(data / "Benchmark" / "hard", "1.jpg", "2.jpg")
    put(data / "UGE_edit.json", json.dumps({str(n): {"id": f"{n}.jpg", "prompt": "remove it"} for n in (1, 2)}))
    constants(official / "Benchmark" / "UGE" / "UGE_bench.py", {"prompt": "Rate <edit_prompt>."})


def risebench(data: Path, official: Path) -> None:
    """The first edition; ``risebench_v2`` is the present one."""
    put(data / "data_total.json", json.dumps(_rise_items(data)))
    constants(official / "utils.py", test_risebench.FIRST_PROMPTS)
    put(official / "gpt_eval.py", "")


def risebench_v2(data: Path, official: Path) -> None:
    more = {"reasoning_img": None, "consistency_free": None, "subtask": "Puzzle"}
    put(data / "datav2_total_w_subtask.json", json.dumps([{**item, **more} for item in _rise_items(data)]))
    constants(official / "utils.py", test_risebench.PROMPTS)
    put(official / "gpt_eval.py", "")


def _rise_items(data: Path) -> list[dict[str, Any]]:
    items = []
    for number, kind in enumerate(("temporal", "causal", "spatial", "logical")):
        category, image = f"{kind}_reasoning", f"{kind}_reasoning_images/{number}.png"
        images(data, image)
        items.append(
            {
                "index": f"{category}_{number}", "category": category, "instruction": f"solve {number}", "image": image,
                "reference_txt" if kind == "logical" else "reference": "what it should show",
            }
        )  # fmt: skip
    return items


def kris(data: Path, official: Path) -> None:
    images(data / "biology", "1.jpg")
    images(data / "multi-element_composition", "1.jpg", "1-2.jpg")
    images(data / "viewpoint_change", "1.jpg", "1_gt.jpg")
    entries: dict[str, dict[str, Any]] = {
        "biology": {"ori_img": "1.jpg", "explain_en": "it rots"},
        "multi-element_composition": {"ori_img": ["1.jpg", "1-2.jpg"]},
        "viewpoint_change": {"ori_img": "1.jpg", "gt_img": "1_gt.jpg"},
    }
    for category, entry in entries.items():
        put(data / category / "annotation.json", json.dumps({"1": {"ins_en": "change it", **entry}}))
    for path in KRIS.official.paths:
        put(official / path, "")
    texts = {name: f"<{name}> {{instruct}} {{explanation}}" for name in test_kris.NAMES}
    constants(official / "eval" / "gen" / "kris" / "prompts.py", texts)


def unicbench(data: Path, official: Path) -> None:
    images(data / "images", "k1.png", "k2.png")
    tasks = (("Scene Editing", "Style Transfer"), ("Reasoning Editing", "Relation Change"))
    lines = [
        {
            "key": f"k{number}", "task": task, "subtask": subtask, "en": "change it", "cn": "改一下",
            "image_path": f"images/k{number}.png", "reasoning_points": ["a point"],
        }
        for number, (task, subtask) in enumerate(tasks, 1)
    ]  # fmt: skip
    put(data / "test_data.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    constants(official / "data" / "prompts.py", test_unicbench.PROMPTS)


MADE: dict[str, Callable[[Path, Path], None]] = {
    made.__name__: made for made in (gedit, imgedit, imgedit_uge, risebench, risebench_v2, kris, unicbench)
}
"""Each writes the data and the official files of a benchmark into two folders."""
