"""The example of ``docs/own-models.md`` is taken out of that very document and run, as its reader would."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tests.harness import User, new_user
from tests.plugin_packages import install_groups
from tests.waiting import wait_until

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own-models.md"
_FILE = re.compile(r"^File `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONFIG = "my_models.yaml"
_SOURCES = {
    "dark": Image.new("RGB", (24, 16), (40, 40, 40)),
    "coloured": Image.new("RGB", (24, 16), (120, 60, 30)),
    "light": Image.new("RGB", (24, 16), (150, 160, 150)),
    "half-transparent": Image.new("RGBA", (24, 16), (90, 20, 20, 128)),
}
_ALMOST_WHITE = Image.new("RGB", (24, 16), (253, 253, 253))


def example() -> dict[str, str]:
    """The document's files, by name."""
    return dict(_FILE.findall(DOCUMENT.read_text(encoding="utf-8")))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[User]:
    """Somebody who has put the document's files into a folder, beside a benchmark, and has installed the package."""
    for name, content in example().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    rows = ["id,category,instruction,image"]
    for name, image in {**_SOURCES, "almost-white": _ALMOST_WHITE}.items():
        image.save(tmp_path / f"{name}.png")
        rows.append(f"{name},brighter,make it brighter,{name}.png")
    (tmp_path / "pairs.csv").write_text("\n".join(rows), encoding="utf-8")
    project = tomllib.loads(example()["pyproject.toml"])["project"]
    site = install_groups(tmp_path / "site", project["name"], project["entry-points"])
    with new_user(tmp_path) as made:
        made.environment["PYTHONPATH"] = f"{site}:{tmp_path}"
        yield made


def module_of(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_has_the_files_that_it_names() -> None:
    assert set(example()) == {
        "brighten.py",
        "brighter.py",
        "pairs_csv.py",
        "pyproject.toml",
        "my_checkpoint/brightness.json",
        _CONFIG,
    }


def test_the_dry_run_of_the_example_finds_nothing_wrong(reader: User) -> None:
    result = reader.run("run", "--config", _CONFIG, "--dry-run")

    assert result.code == 0, result.output
    assert "Editor: brighten" in result.output
    assert "Reward: brighter" in result.output
    assert "(csv)" in result.output
    assert "Note: The editor only makes images brighter." in result.output


def test_the_list_shows_what_the_package_brings(reader: User) -> None:
    lines = [line.strip() for line in reader.run("list").output.splitlines()]

    assert "brighten: Makes images brighter; from the package my-warmbench 1.2" in lines
    assert "brighter: Scores how much brighter an edit is; from the package my-warmbench 1.2" in lines
    assert [line for line in lines if line.startswith("csv: ") and line.endswith("from the package my-warmbench 1.2")]


def test_every_mistake_in_the_keys_of_a_plug_in_is_named_with_its_bounds(reader: User) -> None:
    change(reader, "steps: 4", "steps: 101\n    strength: 2")
    change(reader, "white_above: 250", "white_above: 300")
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 2
    assert "diffusion_model.params.steps: must be 1 to 100, found 101 (line 9)" in result.output
    assert "diffusion_model.params.strength: unknown key (line 10); known here: model_name, seed" in result.output
    assert "reward_model.params.white_above: must be 0 to 255, found 300" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("way", ["package", "class_path"])
def test_the_example_edits_and_scores_and_leaves_out_what_it_cannot_judge(reader: User, way: str) -> None:
    if way == "class_path":
        without_package(reader)
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 3, result.output
    report = reader.report()
    found_scores = scores(reader)
    assert found_scores == pytest.approx(expected_scores(reader.folder, factor=1.5))
    assert [(found["pair_id"], found["stage"], found["kind"]) for found in report["failures"]] == [
        ("almost-white", "score", "too_bright")
    ]
    assert report["summary"]["overall_mean"] == pytest.approx(sum(found_scores.values()) / len(_SOURCES))
    manifest = json.loads((reader.run_folder() / "manifest.json").read_text(encoding="utf-8"))
    if way == "package":
        assert (manifest["editor"]["type"], manifest["editor"]["parameters"]) == ("brighten", {"steps": 4})
        assert manifest["reward"]["parameters"]["white_above"] == 250
        assert manifest["notes"] == report["provenance"]["notes"] == ["The editor only makes images brighter."]
    else:
        assert manifest["editor"]["type"] == "brighten.Brightener"
    assert reader.left_over() == []


def test_the_example_sees_transparency_as_white_as_the_built_in_models_do(reader: User) -> None:
    brightness = module_of(reader.folder, "brighter").brightness
    assert brightness(Image.new("RGBA", (4, 4), (0, 0, 0, 0))) == 255
    assert brightness(Image.new("RGBA", (4, 4), (0, 0, 0, 51))) == 204
    assert brightness(Image.new("RGB", (4, 4), (10, 10, 10))) == 10


@pytest.mark.slow
def test_an_environment_without_the_plug_in_is_named_before_anything_starts(reader: User) -> None:
    python = reader.folder / "bare-python"
    python.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    change(reader, "device_ids: [cpu, cpu]", f"python: {python}")
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 2, result.output
    lacks = f"the environment of {python} lacks the plug-in warmbench.editors:brighten of the package my-warmbench"
    assert f"diffusion_model.params.python: {lacks}" in result.output
    assert f"run `{python} -m pip install my-warmbench`" in result.output


def of_editors(found: dict[str, str]) -> set[str]:
    return {value for name, value in found.items() if name.startswith("editor")}


@pytest.mark.slow
def test_warm_workers_load_another_checkpoint_and_it_has_another_fingerprint(reader: User) -> None:
    assert reader.run("run", "--config", _CONFIG, "--keep-warm").code == 3
    before = fingerprints(reader)
    (reader.folder / "my_checkpoint" / "brightness.json").write_text(json.dumps({"factor": 1.2}))
    wait_until(lambda: "stale" in reader.run("workers", "status", "--config", _CONFIG).output)

    result = reader.run("run", "--config", _CONFIG, "--no-launch")

    assert result.code == 3, result.output
    after = fingerprints(reader)
    # An editor that was ready last may have come too late for so few pairs; those that came agree.
    assert len(of_editors(before)) == len(of_editors(after)) == 1
    assert of_editors(before) != of_editors(after)
    assert before["reward-0"] == after["reward-0"]
    assert scores(reader) == pytest.approx(expected_scores(reader.folder, factor=1.2))
    assert reader.run("workers", "stop", "--config", _CONFIG).code == 0
    assert reader.left_over() == []


def test_a_class_that_is_not_there_is_reported_with_the_nearest_name_before_anything_starts(reader: User) -> None:
    without_package(reader)
    change(reader, "brighten.Brightener", "brighten.Brightner")
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 2
    assert "Brightener" in result.output
    assert not reader.output.exists()


@pytest.mark.slow
def test_a_class_of_the_wrong_kind_and_a_broken_checkpoint_end_the_run_with_the_reason(reader: User) -> None:
    checkpoint = reader.folder / "my_checkpoint" / "brightness.json"
    checkpoint.write_text("{}")
    result = reader.run("run", "--config", _CONFIG)
    assert result.code == 1, result.output
    assert "is no checkpoint of a Brightener" in result.output

    without_package(reader)
    change(reader, "brighten.Brightener", "brighter.BrighterReward")
    result = reader.run("run", "--config", _CONFIG)
    assert result.code == 1, result.output
    assert "derive it from workers.interface.Editor" in result.output


def change(reader: User, old: str, new: str) -> None:
    config = reader.folder / _CONFIG
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")


def without_package(reader: User) -> None:
    """Name the classes in the config, and uninstall the package."""
    change(reader, "type: brighten\n", "class_path: brighten.Brightener\n")
    change(reader, "type: brighter\n", "class_path: brighter.BrighterReward\n")
    shutil.copytree(reader.folder / "site", reader.folder / "formats_only")
    entry_points = next((reader.folder / "formats_only").glob("*/entry_points.txt"))
    entry_points.write_text("[warmbench.formats]\ncsv = pairs_csv:FORMAT\n", encoding="utf-8")
    reader.environment["PYTHONPATH"] = str(reader.folder / "formats_only")


def scores(reader: User) -> dict[str, float]:
    return {found["pair_id"]: found["score"] for found in reader.report()["pairs"] if found["score"] is not None}


def fingerprints(reader: User) -> dict[str, str]:
    return {worker["worker_id"]: worker["fingerprint"] for worker in reader.report()["provenance"]["workers"]}


def expected_scores(folder: Path, *, factor: float) -> dict[str, float]:
    """What the document's own functions make of the sources: the run must neither lose nor change anything."""
    editor, reward = module_of(folder, "brighten"), module_of(folder, "brighter")
    expected = {}
    for name, source in _SOURCES.items():
        edited = source
        for _ in range(4):
            edited = editor.ImageEnhance.Brightness(edited).enhance(factor ** (1 / 4))
        before, after = reward.brightness(source), reward.brightness(edited)
        expected[name] = 10 * (after - before) / (255 - before)
    return expected
