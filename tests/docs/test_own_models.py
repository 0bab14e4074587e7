"""The example of ``docs/own-models.md`` is taken out of that very document and run, as its reader would."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tests.harness import User, encoded, new_user, pair, write_data
from tests.waiting import wait_until

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own-models.md"
_FILE = re.compile(r"^File `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONFIG = "my_models.yaml"
_SOURCES = {"dark": (40, 40, 40), "coloured": (120, 60, 30), "light": (150, 160, 150)}
_ALMOST_WHITE = (253, 253, 253)


def example() -> dict[str, str]:
    """The document's files, by name."""
    return dict(_FILE.findall(DOCUMENT.read_text(encoding="utf-8")))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[User]:
    """Somebody who has put the document's files into a folder, beside a benchmark."""
    for name, content in example().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    colours = {**_SOURCES, "almost-white": _ALMOST_WHITE}
    pairs = [pair(name, encoded(Image.new("RGB", (24, 16), colour))) for name, colour in colours.items()]
    write_data(tmp_path / "benchmark.json", {"brighter": pairs})
    with new_user(tmp_path) as made:
        yield made


def module_of(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("my_models_of_the_document", folder / "my_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_has_the_files_that_it_names() -> None:
    assert set(example()) == {"my_models.py", "my_checkpoint/brightness.json", _CONFIG}


def test_the_dry_run_of_the_example_finds_nothing_wrong(reader: User) -> None:
    result = reader.run("run", "--config", _CONFIG, "--dry-run")

    assert result.code == 0, result.output
    assert "my_models.Brightener" in result.output
    assert "my_models.BrighterReward" in result.output


def test_the_example_edits_and_scores_and_leaves_out_what_it_cannot_judge(reader: User) -> None:
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 3, result.output
    report = reader.report()
    found_scores = scores(reader)
    assert found_scores == pytest.approx(expected_scores(reader.folder, factor=1.5))
    assert [(found["pair_id"], found["stage"], found["kind"]) for found in report["failures"]] == [
        ("almost-white", "score", "too_bright")
    ]
    assert report["summary"]["overall_mean"] == pytest.approx(sum(found_scores.values()) / 3)
    assert reader.left_over() == []


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


def test_a_class_that_is_not_there_is_told_with_the_nearest_name_before_anything_starts(reader: User) -> None:
    config = reader.folder / _CONFIG
    config.write_text(config.read_text().replace("my_models.Brightener", "my_models.Brightner"))
    result = reader.run("run", "--config", _CONFIG)

    assert result.code == 2
    assert "Brightener" in result.output
    assert not reader.output.exists()


def test_a_class_of_the_wrong_kind_and_a_broken_checkpoint_end_the_run_with_the_reason(reader: User) -> None:
    checkpoint = reader.folder / "my_checkpoint" / "brightness.json"
    checkpoint.write_text("{}")
    result = reader.run("run", "--config", _CONFIG)
    assert result.code == 1, result.output
    assert "is no checkpoint of a Brightener" in result.output

    config = reader.folder / _CONFIG
    config.write_text(config.read_text().replace("my_models.Brightener", "my_models.BrighterReward"))
    result = reader.run("run", "--config", _CONFIG)
    assert result.code == 1, result.output
    assert "derive it from workers.interface.Editor" in result.output


def scores(reader: User) -> dict[str, float]:
    return {found["pair_id"]: found["score"] for found in reader.report()["pairs"] if found["score"] is not None}


def fingerprints(reader: User) -> dict[str, str]:
    return {worker["worker_id"]: worker["fingerprint"] for worker in reader.report()["provenance"]["workers"]}


def expected_scores(folder: Path, *, factor: float) -> dict[str, float]:
    """What the document's own functions make of the sources: the run must neither lose nor change anything."""
    module = module_of(folder)
    expected = {}
    for name, colour in _SOURCES.items():
        source = edited = Image.new("RGB", (24, 16), colour)
        for _ in range(4):
            edited = module.ImageEnhance.Brightness(edited).enhance(factor ** (1 / 4))
        before, after = module.brightness(source), module.brightness(edited)
        expected[name] = 10 * (after - before) / (255 - before)
    return expected
