from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scheduler.benchmark import BadPair, DataError, PairError, load_benchmark, sources
from tests.scheduler.benchmark.make import image_bytes

Entry = dict[str, object]


def entry(number: int, category: object = "temporal_reasoning", **changes: object) -> Entry:
    fields: Entry = {
        "index": f"{category}_{number}",
        "category": category,
        "instruction": f"Draw what it will look like {number} hours later.",
        "image": f"{category}_images/{number}.png",
        "reference": "Older.",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside a secret, with two categories of two images each."""
    data = tmp_path / "data"
    for category in ("temporal_reasoning", "logical_reasoning"):
        (data / f"{category}_images").mkdir(parents=True)
        for number in (2, 4):
            (data / f"{category}_images" / f"{number}.png").write_bytes(image_bytes((10 + number, 8)))
    (tmp_path / "secret.png").write_bytes(image_bytes())
    return data


def write(folder: Path, *entries: object) -> Path:
    (folder / "data_total.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


def only_bad(folder: Path, **changes: object) -> BadPair:
    benchmark = load_benchmark(write(folder, entry(2), entry(4, **changes)))
    assert [good.pair_id for good in benchmark.pairs] == ["temporal_reasoning_2"]
    (bad,) = benchmark.bad
    return bad


def test_a_folder_and_its_list_give_the_same_benchmark(folder: Path) -> None:
    write(folder, entry(2), entry(2, "logical_reasoning"), entry(4), entry(4, "logical_reasoning"))
    benchmark = load_benchmark(folder)
    assert benchmark.format == "risebench"
    assert benchmark.categories == ("temporal_reasoning", "logical_reasoning")
    assert [item.pair_id for item in benchmark.pairs] == [
        "temporal_reasoning_2", "logical_reasoning_2", "temporal_reasoning_4", "logical_reasoning_4"
    ]  # fmt: skip
    assert benchmark.bad == ()
    assert load_benchmark(folder / "data_total.json").pairs == benchmark.pairs


def test_a_pair_has_instruction_image_and_the_text_of_its_reference(folder: Path) -> None:
    write(folder, entry(2), entry(4, reference=..., reference_txt="By words."), entry(6, image="x", reference=...))
    first, second = load_benchmark(folder).pairs
    assert first.instruction == "Draw what it will look like 2 hours later."
    assert (first.description, first.reference, second.reference) == ("", "Older.", "By words.")
    assert first.source.size == (12, 8)
    assert first.source.read() == image_bytes((12, 8))


def test_categories_limit_and_number_ids_work_here_too(folder: Path) -> None:
    write(folder, entry(2, index=7), entry(4, index=8), entry(2, "logical_reasoning"))
    benchmark = load_benchmark(folder, categories=["temporal_reasoning"], limit=1)
    assert [item.key for item in benchmark.items] == ["temporal_reasoning/7"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("../secret.png", "leads out of the data's folder"),
        ("temporal_reasoning_images/../../secret.png", "leads out of the data's folder"),
        ("/etc/passwd", "leads out of the data's folder"),
        ("link.png", "is a link that leads out of the data's folder"),
        ("linked_folder/secret.png", "is a link that leads out of the data's folder"),
        ("temporal_reasoning_images/99.png", "cannot be found: No such file"),
        ("loop.png", "cannot be found"),
        ("a\0b.png", "cannot be found"),
        ("x" * 300, "cannot be found"),
        ("", "is not a file"),
        ("temporal_reasoning_images", "is not a file"),
        ("pipe", "is not a file"),
        ("data_total.json", "is no image of a known kind"),
    ],
)
def test_an_image_that_is_no_file_of_the_folder_is_a_bad_image(folder: Path, image: str, message: str) -> None:
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "linked_folder").symlink_to(folder.parent)
    (folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "pipe")
    bad = only_bad(folder, image=image)
    assert (bad.pair_id, bad.kind) == ("temporal_reasoning_4", "bad_image")
    assert message in bad.message


def test_a_link_within_the_folder_and_a_link_to_the_folder_are_followed(folder: Path) -> None:
    (folder / "link.png").symlink_to("temporal_reasoning_images/4.png")
    (folder.parent / "elsewhere").symlink_to(folder)
    write(folder, entry(4, image="link.png"))
    assert load_benchmark(folder.parent / "elsewhere").pairs[0].source.read() == image_bytes((14, 8))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"instruction": ""}, "no_instruction"),
        ({"image": ...}, "bad_field"),
        ({"image": 4}, "bad_field"),
        ({"reference": ["x"]}, "bad_field"),
        ({"index": "temporal_reasoning_2"}, "duplicate_id"),
        ({"index": ...}, "bad_id"),
    ],
)
def test_other_bad_fields_have_the_same_kinds_as_in_json(folder: Path, changes: Entry, kind: str) -> None:
    assert only_bad(folder, **changes).kind == kind


def test_an_image_file_over_the_limit_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_IMAGE_BYTES", 200)
    (folder / "large.png").write_bytes(image_bytes() + bytes(200))
    assert only_bad(folder, image="large.png").kind == "image_too_large"


def test_an_image_that_was_replaced_or_removed_since_is_noticed(folder: Path) -> None:
    (loaded,) = load_benchmark(write(folder, entry(2))).pairs
    image = folder / "temporal_reasoning_images" / "2.png"
    image.write_bytes(image_bytes((5, 5)))
    with pytest.raises(PairError, match="has changed"):
        loaded.source.read()
    image.unlink()
    with pytest.raises(PairError, match="cannot be read"):
        loaded.source.read()


def test_a_list_in_sections_is_not_risebench(folder: Path) -> None:
    (folder / "data_total.json").write_text('{"a": []}')
    with pytest.raises(DataError, match="it holds a JSON object; expected a list of pairs"):
        load_benchmark(folder)
