"""RISEBench asks, reads and weights as the edition of the script does that belongs to the file."""

from __future__ import annotations

import re
from typing import Any

import pytest

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Table, UnreadableReply, UnsuitableItem
from scheduler.protocols.official import OfficialError, OfficialTexts
from scheduler.protocols.risebench import PROTOCOL, RiseBench, final_scores
from tests.scheduler.protocols.made_texts import official_texts

FIRST_PROMPTS = {
    name: f"<{name}> {{instruct}} | {{reference}}"
    for name in (
        "prompt_consist", "prompt_reasoning", "prompt_generation", "prompt_spatial_ref", "prompt_spatial_qual",
        "prompt_spatial_cons", "prompt_logical_txt", "prompt_logical_img",
    )
}  # fmt: skip
PROMPTS = FIRST_PROMPTS | {
    name: f"<{name}> {{instruct}} | {{reference}}"
    for name in (
        "prompt_reasoning_w_input", "prompt_spatial_ref_img", "prompt_spatial_ref_w_input", "prompt_logical_cons_ans",
        "prompt_logical_cons", "prompt_logical_img_wo_q",
    )
}  # fmt: skip
FIRST_COLUMNS = {"reference": 48, "reference_img": 12, "reference_txt": 4}
COLUMNS = FIRST_COLUMNS | {"reasoning_img": 30, "reference_img": 40, "reference_txt": 50}
LOGICAL_BY_IMAGE: dict[str, Any] = {"images": ("source", "reference"), "reference": None}


def texts(prompts: dict[str, str]) -> OfficialTexts:
    return official_texts({"utils.py": prompts, "gpt_eval.py": {}})


def first() -> RiseBench:
    return RiseBench(Table(FIRST_COLUMNS, 64), texts(FIRST_PROMPTS))


def present(*columns: str) -> RiseBench:
    return RiseBench(Table(COLUMNS | dict.fromkeys(columns, 10), 360), texts(PROMPTS))


def item(category: str, *, reference: str | None = "a rotten apple", **more: Any) -> ItemFacts:
    column = "reference_txt" if category == "logical" else "reference"
    more["facts"] = {column: reference} | more.get("facts", {})
    return ItemFacts(f"{category}_reasoning", f"{category}_1", "a year {later}", reference, **more)


def asked(questions: list[Question]) -> dict[str, list[str]]:
    """By question, the name of its prompt and the images."""
    return {
        question.name: [
            re.match("<(.*)>", part.text)[1] if isinstance(part, TextPart) else part.image  # type: ignore[index]  # they all match
            for part in question.parts
        ]
        for question in questions
    }


def test_the_first_edition_asks_one_question_about_logical_items_and_three_about_others() -> None:
    rules = first()
    assert asked([*rules.questions(item("causal"))]) == {
        "consistency": ["prompt_consist", "source", "edit"],
        "reasoning": ["prompt_reasoning", "edit"],
        "plausibility": ["prompt_generation", "edit"],
    }
    assert asked([*rules.questions(item("spatial"))]) == {
        "consistency": ["prompt_spatial_cons", "source", "edit"],
        "reasoning": ["prompt_spatial_ref", "edit"],
        "plausibility": ["prompt_spatial_qual", "edit"],
    }
    assert asked([*rules.questions(item("logical"))]) == {"logical": ["prompt_logical_txt", "source", "edit"]}
    by_image = item("logical", **LOGICAL_BY_IMAGE)
    assert asked([*rules.questions(by_image)]) == {"logical": ["prompt_logical_img", "reference", "edit"]}


@pytest.mark.parametrize("category", ["temporal", "causal"])
def test_the_present_edition_shows_the_source_for_reasoning_where_the_item_says_so(category: str) -> None:
    plain = {
        "consistency": ["prompt_consist", "source", "edit"],
        "reasoning": ["prompt_reasoning", "edit"],
        "plausibility": ["prompt_generation", "edit"],
    }
    assert asked([*present().questions(item(category, facts={"reasoning_img": None}))]) == plain
    with_input = present().questions(item(category, facts={"reasoning_img": "yes"}))
    assert asked([*with_input]) == plain | {"reasoning": ["prompt_reasoning_w_input", "source", "edit"]}


def test_the_present_edition_compares_a_spatial_item_with_its_reference_image_if_it_has_one() -> None:
    plain = {
        "consistency": ["prompt_spatial_cons", "source", "edit"],
        "reasoning": ["prompt_spatial_ref", "edit"],
        "plausibility": ["prompt_spatial_qual", "edit"],
    }
    assert asked([*present().questions(item("spatial"))]) == plain
    with_input = item("spatial", facts={"reasoning_img": 1})
    shown = {"reasoning": ["prompt_spatial_ref_w_input", "source", "edit"]}
    assert asked([*present().questions(with_input)]) == plain | shown
    by_image = item("spatial", reference=None, images=("source", "reference"), facts={"reasoning_img": 1})
    assert asked([*present().questions(by_image)]) == plain | {
        "consistency": ["prompt_spatial_cons", "reference", "edit"],
        "reasoning": ["prompt_spatial_ref_img", "reference", "edit"],
    }


def test_the_present_edition_asks_two_questions_about_logical_items() -> None:
    assert asked([*present().questions(item("logical"))]) == {
        "consistency": ["prompt_logical_cons_ans", "source", "edit"],
        "reasoning": ["prompt_logical_txt", "edit"],
    }
    assert asked([*present().questions(item("logical", **LOGICAL_BY_IMAGE))]) == {
        "consistency": ["prompt_logical_cons", "reference", "edit"],
        "reasoning": ["prompt_logical_img", "reference", "edit"],
    }


def test_one_item_with_reasoning_wo_ins_changes_the_question_about_all_of_the_file() -> None:
    questions = present("reasoning_wo_ins").questions(item("logical", **LOGICAL_BY_IMAGE))
    assert asked([*questions])["reasoning"] == ["prompt_logical_img_wo_q", "reference", "edit"]


def test_a_consistency_free_item_is_not_asked_about_consistency() -> None:
    free = item("temporal", facts={"consistency_free": True})
    rules = present("consistency_free")
    assert [*asked([*rules.questions(free)])] == ["reasoning", "plausibility"]
    assert rules.expected(free) == {"reasoning": ("Reasoning",), "plausibility": ("VisualPlausibility",)}
    for empty in (None, float("nan")):
        assert len(rules.questions(item("temporal", facts={"consistency_free": empty}))) == 3


def test_a_logical_item_has_its_text_in_a_column_of_its_own() -> None:
    by_image: dict[str, Any] = {
        "images": ("source", "reference"),
        "facts": {"reference": "a text", "reference_txt": None},
    }
    assert asked([*first().questions(item("logical", **by_image))]) == {
        "logical": ["prompt_logical_img", "reference", "edit"]
    }


def test_texts_are_filled_in() -> None:
    questions = first().questions(item("temporal"))
    assert questions[0].parts[0] == TextPart(text="<prompt_consist> a year {later} | a rotten apple")
    assert questions[2].parts[0] == TextPart(text="<prompt_generation> {instruct} | {reference}")


def test_images_are_jpegs_in_high_detail_and_small_in_the_present_edition_alone() -> None:
    for rules, longest_side in ((first(), None), (present(), 768)):
        for part in rules.questions(item("temporal"))[0].parts[1:]:
            assert isinstance(part, ImagePart)
            assert part.detail == "high"
            assert part.step == ImageStep(longest_side=longest_side, encoding="jpeg", quality=75)


def test_each_edition_has_a_judge_of_its_own() -> None:
    assert PROTOCOL.judge_of("risebench_v2").models == ("gpt-4.1-2025-04-14",)
    assert PROTOCOL.judge_of("risebench").models == ("gpt-4o-2024-11-20",)


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (item("musical"), "no category musical_reasoning"),
        (item("temporal", reference=None), "no reference"),
        (item("spatial", reference=None), "no reference"),
        (item("logical", reference=None), "neither reference_txt nor reference_img"),
        (item("temporal", facts={"consistency_free": False}), "consistency_free"),
        (item("logical", facts={"consistency_free": True}), "consistency_free"),
    ],
)
def test_an_item_that_the_script_cannot_ask_about_is_named(facts: ItemFacts, what: str) -> None:
    with pytest.raises(UnsuitableItem, match=what):
        present("consistency_free").questions(facts)


def test_a_file_and_prompts_of_different_editions_are_named_with_what_to_do() -> None:
    with pytest.raises(OfficialError, match=r"first edition .*git -C clone checkout 3421af4, or .*datav2"):
        RiseBench(Table(FIRST_COLUMNS, 64), texts(PROMPTS))
    with pytest.raises(OfficialError, match=r"present edition .*git -C clone checkout 5f22651, or .*data_total.json"):
        RiseBench(Table(COLUMNS, 360), texts(FIRST_PROMPTS))
    with pytest.raises(OfficialError, match=r"has no constant prompt_consist .*of another version"):
        RiseBench(Table(COLUMNS, 360), texts({})).questions(item("temporal"))


@pytest.mark.parametrize(
    ("reply", "numbers"),
    [
        ("Well done.\n**Final Score:** **4**", [4]),
        ("final score 3", [3]),
        ("**Final Score**: 4/5", [4]),
        ("Final Score: 4.5", [4]),
        ("Final Score: none yet.\nFinal Score:\n\n2", [2]),
        ("Final Score: 1\nFinal Score: 5", [1]),
        ("Final Scores: 1, 0", [1, 0]),
        ("**Final Score**: **1,\n 0**", [1, 0]),
        ("The Final Scores: 5. The final score: 2", [2]),
        ("Final Score: 12", [12]),
        ("Final Score: ٤", [4]),
    ],
)
def test_the_final_score_is_read_as_the_script_does(reply: str, numbers: list[int]) -> None:
    assert final_scores(reply) == numbers


@pytest.mark.parametrize(
    "reply", ["", "4", "Score: 4", "Final Score: four", "Final Scores: none", "Final Score: " + "1" * 5000]
)
def test_a_reply_without_a_final_score_is_unreadable(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        final_scores(reply)


def test_a_reply_gives_one_dimension_and_a_logical_one_is_1_or_5() -> None:
    rules = present()
    assert rules.read(item("causal"), "reasoning", "Final Score: 3") == {"Reasoning": 3}
    assert rules.read(item("causal"), "plausibility", "Final Score: 0") == {"VisualPlausibility": 0}
    for number, value in (("0", 1), ("1", 5), ("4", 5)):
        assert rules.read(item("logical"), "reasoning", f"Final Score: {number}") == {"Reasoning": value}
    with pytest.raises(UnreadableReply, match=r"2 numbers .*expected 1"):
        rules.read(item("causal"), "consistency", "Final Score: 1, 2")
    with pytest.raises(UnreadableReply, match=r"2 numbers .*expected 1"):
        rules.read(item("logical"), "consistency", "Final Score: 1, 1")


def test_the_one_reply_about_a_logical_item_gives_reasoning_first() -> None:
    rules = first()
    assert rules.read(item("logical"), "logical", "Final Score: 1, 0") == {"Reasoning": 5, "ApprConsistency": 1}
    assert rules.read(item("logical"), "logical", "Final Score: 0, 1, 7") == {"Reasoning": 1, "ApprConsistency": 5}
    with pytest.raises(UnreadableReply, match=r"1 number .*expected 2"):
        rules.read(item("logical"), "logical", "Final Score: 1")


def test_what_it_declares_is_what_it_expects() -> None:
    names = {dimension.name for dimension in PROTOCOL.dimensions}
    for rules in (first(), present("consistency_free")):
        for category in ("temporal", "causal", "spatial", "logical"):
            expected = rules.expected(item(category))
            assert [question.name for question in rules.questions(item(category))] == list(expected)
            assert {name for dimensions in expected.values() for name in dimensions} <= names


@pytest.mark.parametrize(
    ("kinds", "having", "stays"),
    [
        (("boolean", "null"), 20, True),
        (("boolean", "nan", "null"), 360, True),
        (("number", "text", "null"), 20, True),
        (("number", "null"), 360, False),
        (("text", "null"), 360, False),
        (("boolean", "nan"), 360, False),
        (("nan",), 360, False),
        (("null",), 360, True),
        (("null",), 20, False),
    ],
)
def test_a_null_consistency_free_is_weighted_as_pandas_keeps_it(
    kinds: tuple[str, ...], having: int, stays: bool
) -> None:
    columns = COLUMNS | {"consistency_free": having}
    rules = RiseBench(Table(columns, 360, kinds={"consistency_free": kinds}), texts(PROMPTS))
    dimensions = {"ApprConsistency": 1.0, "Reasoning": 5.0, "VisualPlausibility": 5.0}
    null = item("temporal", facts={"consistency_free": None})
    assert rules.score(null, dimensions) == pytest.approx(3.8 if stays else 5.0)
    assert rules.score(item("temporal"), dimensions) == pytest.approx(5.0), "one that lacks it has NaN in any case"
    found = rules.numbers([JudgedItem(null, dimensions, rules.score(null, dimensions))])
    assert ("Overall/Score-Origin_corrected" in found.values) is (not stays)
