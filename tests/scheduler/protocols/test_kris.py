"""KRIS-Bench asks and adds up as the evaluation in Bagel's repository does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Table, UnsuitableItem
from scheduler.protocols.kris import PROTOCOL, Kris
from scheduler.protocols.kris_numbers import CATEGORIES, KNOWLEDGE_CATEGORIES
from tests.scheduler.protocols.made_texts import official_texts

NAMES = (
    "prompt_consist", "prompt_quality", "prompt_instruction_following", "prompt_dual_evaluation",
    "prompt_abnormal_instruction_following", "prompt_view_instruction_following", "prompt_consist_temporal",
    "prompt_instruction_temporal", "prompt_consist_multi", "prompt_instruction_multi",
)  # fmt: skip
TEXTS = official_texts(
    {"eval/gen/kris/prompts.py": {name: f"<{name}> {{instruct}} {{explanation}} {{{{}}}}" for name in NAMES}}
)
ORIGINAL = ["This is the original image:", "source"]
EDITED = ["This is the edited image:", "edit"]
TO_EVALUATE = ["This is the image to evaluate:", "edit"]
AS_IT_IS = ImageStep(media_type="image/jpeg")


def rules() -> Kris:
    return Kris(Table({}, 1267, "kris"), TEXTS)


def item(category: str, *, files: Sequence[str] = ("1.jpg",), images: Sequence[str] = (), **more: Any) -> ItemFacts:
    sources = ["source", *(f"source_{number}" for number in range(2, len(files) + 1))]
    facts = {"ori_img": list(files) if len(files) > 1 else files[0]}
    return ItemFacts(category, "1", "age it {x}", "it rots", images=(*sources, *images), facts=facts, **more)


def prompt(name: str) -> str:
    return f"<{name}> age it {{x}} it rots {{}}"


QUALITY = "<prompt_quality> {instruct} {explanation} {{}}"


def asked(questions: Sequence[Question]) -> dict[str, list[str]]:
    return {
        question.name: [part.text if isinstance(part, TextPart) else part.image for part in question.parts]
        for question in questions
    }


def steps(questions: Sequence[Question]) -> set[ImageStep]:
    return {part.step for question in questions for part in question.parts if isinstance(part, ImagePart)}


COMMON = (
    "count_change", "color_change", "anomaly_correction", "position_movement", "size_adjustment", "part_completion",
    "multi-instruction_execution",
)  # fmt: skip


@pytest.mark.parametrize("category", COMMON)
def test_the_quality_of_a_common_edit_is_asked_with_the_label_of_the_original(category: str) -> None:
    questions = rules().questions(item(category))
    assert asked(questions) == {
        "consistency": [prompt("prompt_consist"), *ORIGINAL, *EDITED],
        # An anomaly is asked about as anything else: the script looks for a category that does not exist.
        "instruction_following": [prompt("prompt_instruction_following"), *ORIGINAL, *EDITED],
        "image_quality": [QUALITY, "This is the original image:", "edit"],
    }
    assert steps(questions) == {AS_IT_IS}


@pytest.mark.parametrize("category", sorted(KNOWLEDGE_CATEGORIES))
def test_one_question_about_knowledge_gives_two_scores(category: str) -> None:
    questions = rules().questions(item(category))
    assert asked(questions) == {
        "consistency": [prompt("prompt_consist"), *ORIGINAL, *EDITED],
        "dual_score": [prompt("prompt_dual_evaluation"), *ORIGINAL, *EDITED],
        "image_quality": [QUALITY, *EDITED],
    }
    assert rules().expected(item(category))["dual_score"] == ("instruction_score", "knowledge_score")


def test_a_change_of_viewpoint_is_compared_with_the_ground_truth() -> None:
    questions = rules().questions(item("viewpoint_change", images=["ground_truth"]))
    truth = ["This is the ground truth image:", "ground_truth"]
    assert asked(questions) == {
        "consistency": [prompt("prompt_consist"), *ORIGINAL, *EDITED],
        "instruction_following": [prompt("prompt_view_instruction_following"), *ORIGINAL, *EDITED, *truth],
        "image_quality": [QUALITY, *EDITED],
    }


@pytest.mark.parametrize(
    ("files", "frames"),
    [
        (["7-1.jpg", "7-2.jpg", "7-3.jpg"], {1: "source", 2: "source_2", 3: "source_3", 4: "edit"}),
        (["7-2.jpg", "7-3.jpg", "7-4.jpg"], {1: "edit", 2: "source", 3: "source_2", 4: "source_3"}),
        (["7-4.jpg", "7-1.jpg", "7-2.jpg"], {1: "source_2", 2: "source_3", 3: "edit", 4: "source"}),
        (["7-1.jpg", "7-5.jpg"], {1: "source", 5: "source_2", 6: "edit"}),
    ],
)
def test_frames_are_shown_in_their_order_with_the_edit_in_its_place(files: list[str], frames: dict[int, str]) -> None:
    questions = rules().questions(item("temporal_prediction", files=files))
    shown = [
        text
        for number, image in frames.items()
        for text in (f"Frame {number} ({'Generated' if image == 'edit' else 'Reference'}):", image)
    ]
    assert asked(questions) == {
        "consistency": [prompt("prompt_consist_temporal"), *shown],
        "instruction_following": [prompt("prompt_instruction_temporal"), *shown],
        "image_quality": [QUALITY, *TO_EVALUATE],
    }
    assert steps(questions) == {ImageStep(rgb=True, encoding="jpeg", quality=85)}


def test_a_composition_is_shown_after_all_of_its_references() -> None:
    questions = rules().questions(item("multi-element_composition", files=["1-1.jpg", "1-2.jpg", "1-3.jpg"]))
    shown = ["Reference Image 1:", "source", "Reference Image 2:", "source_2", "Reference Image 3:", "source_3"]
    shown += ["Predicted Image:", "edit"]
    assert asked(questions) == {
        "consistency": [prompt("prompt_consist_multi"), *shown],
        "instruction_following": [prompt("prompt_instruction_multi"), *shown],
        "image_quality": [QUALITY, *TO_EVALUATE],
    }
    assert steps(questions) == {AS_IT_IS}


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (item("astrology"), "no category astrology"),
        (item("viewpoint_change"), "no gt_img"),
        (item("biology", files=["1.jpg", "2.jpg"]), "2 source images; in biology"),
        (item("temporal_prediction", files=["1-1.jpg", "b.jpg"]), "1 of its 2 images"),
        (item("temporal_prediction", files=["1-1.jpg", "1-" + "9" * 5000]), "1 of its 2 images"),
    ],
)
def test_an_item_that_the_scripts_cannot_ask_about_is_named(facts: ItemFacts, what: str) -> None:
    with pytest.raises(UnsuitableItem, match=what):
        rules().questions(facts)


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_what_it_declares_is_what_it_expects_and_the_score_is_on_its_scale(category: str) -> None:
    files = ["1-1.jpg", "1-2.jpg"] if category in {"temporal_prediction", "multi-element_composition"} else ["1.jpg"]
    facts = item(category, files=files, images=["ground_truth"])
    expected = rules().expected(facts)
    assert [question.name for question in rules().questions(facts)] == list(expected)
    names = {name for dimensions in expected.values() for name in dimensions}
    assert names <= {dimension.name for dimension in PROTOCOL.dimensions}
    assert (rules().score(facts, dict.fromkeys(names, 1.0)), rules().score(facts, dict.fromkeys(names, 5.0))) == (
        0,
        100,
    )
    reply = "{" + ", ".join(f'"{name}": 4' for name in sorted(names)) + "}"
    read = {name: value for question in expected for name, value in rules().read(facts, question, reply).items()}
    assert read == dict.fromkeys(names, 4.0)


def judged(category: str, score: float | None, **dimensions: float) -> JudgedItem:
    return JudgedItem(item(category), dimensions, score)


def test_means_are_flat_over_all_scores_of_a_type_a_group_and_everything() -> None:
    three = {"consistency_score": 1.0, "instruction_score": 2.0, "quality_score": 3.0}
    four = dict.fromkeys((*three, "knowledge_score"), 5.0)
    numbers = rules().numbers([judged("count_change", 25.0, **three), judged("biology", 100.0, **four)])
    assert numbers.main == "Overall/AVG"
    assert numbers.values["Attribute Perception/AVG"] == 25
    assert numbers.values["Attribute Perception/IF"] == 25
    assert "Attribute Perception/KP" not in numbers.values
    assert numbers.values["Natural Science/biology/KP"] == 100
    assert numbers.values["Factual Knowledge/AVG"] == 25
    assert numbers.values["Procedural Knowledge/AVG"] is None
    assert numbers.values["Overall/AVG"] == pytest.approx((3 * 25 + 4 * 100) / 7)
    assert numbers.deviations == ()


def test_a_missing_score_leaves_its_numbers_open_and_no_others() -> None:
    scores = {"consistency_score": 3.0, "instruction_score": 3.0, "quality_score": 3.0}
    items = [judged("count_change", 50.0, **scores), judged("color_change", None, consistency_score=5.0)]
    items.append(judged("position_movement", 50.0, **scores))
    values = rules().numbers(items).values
    assert values["Overall/AVG"] is values["Attribute Perception/VC"] is values["Factual Knowledge/AVG"] is None
    assert values["Attribute Perception/color_change/VC"] is None
    assert values["Attribute Perception/count_change/VC"] == values["Spatial Perception/AVG"] == 50


def test_scores_outside_of_the_scale_are_used_and_said() -> None:
    scores = {"consistency_score": 3.0, "instruction_score": 7.0, "quality_score": 3.0}
    numbers = rules().numbers([judged("count_change", 83.3, **scores)])
    assert numbers.values["Attribute Perception/IF"] == 150
    assert "1 of 1 item a score outside of 1 to 5" in numbers.deviations[0]
