"""ImgEdit-Bench, basic and UGE: the question, how lines are read, and rounded means."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import ImagePart, ImageStep, TextPart
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Protocol, Table, UnreadableReply, UnsuitableItem
from scheduler.protocols.imgedit import EDIT_TYPES, ImgEdit
from scheduler.protocols.imgedit_uge import ImgEditUGE
from scheduler.protocols.official import OfficialError, OfficialTexts
from tests.scheduler.protocols.made_texts import official_texts

IMAGES = [ImagePart(image=name, step=ImageStep(media_type="image/png")) for name in ("source", "edit")]
THREE = "Brief reasoning: good.\nPrompt Compliance: 4\n  Visual Naturalness: 3  \r\nDetail: 3\n"


def item(category: str = "add", **more: Any) -> ItemFacts:
    return ItemFacts(category, "1082", "Add a {cat}", **more)


def basic(prompts: Any = None) -> ImgEdit:
    text = json.dumps({"add": "Rate <edit_prompt>."} if prompts is None else prompts)
    return ImgEdit(Table({}, 1), OfficialTexts(Path("clone"), {"Benchmark/Basic/prompts.json": text}, {}, None, None))


def uge() -> ImgEditUGE:
    return ImgEditUGE(
        Table({}, 1), official_texts({"Benchmark/UGE/UGE_bench.py": {"prompt": "\nRate <edit_prompt>.\n"}})
    )


def test_the_question_is_the_prompt_of_the_type_and_both_files_as_they_are() -> None:
    (question,) = basic().questions(item())
    assert (question.name, question.system) == ("score", "")
    assert question.parts == [TextPart(text="Rate Add a {cat}."), *IMAGES]
    (question,) = uge().questions(item("uge"))
    assert question.parts == [TextPart(text="\nRate Add a {cat}.\n"), *IMAGES]


def test_a_type_without_a_prompt_is_unsuitable() -> None:
    with pytest.raises(UnsuitableItem, match="'removal'"):
        basic().questions(item("removal"))


@pytest.mark.parametrize("prompts", [["Rate <edit_prompt>."], {"add": ["Rate"]}, {"add": "no placeholder"}])
def test_prompts_of_another_shape_are_refused(prompts: Any) -> None:
    with pytest.raises(OfficialError):
        basic(prompts).questions(item())


def test_the_score_is_the_rounded_mean_of_the_lines_and_three_lines_have_names() -> None:
    expected = {"score": 3.33, "instruction": 4, "quality": 3, "detail": 3}
    assert basic().read(item(), "score", THREE) == expected
    assert uge().read(item(), "score", THREE) == {"score": 3.33}
    assert basic().expected(item()) == uge().expected(item()) == {"score": ("score",)}
    assert basic().score(item(), expected) == 3.33


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Score: 4", 4),
        ("A: 4\nB: 3", 3.5),
        ("A: 4\nB: 3\nC: 3\nD: 12", 5.5),
        (": 2", 2),
        ("**Score: 4\nScore: five\nScore: 4.5\nRatio: 4: 5\nScore:3", 4),
        ("Score: ５", 5),
        ("A: 1\vB: 2\u2028C: 0", 1),
    ],
)
@pytest.mark.parametrize("rules", [basic(), uge()])
def test_a_reply_is_read_as_the_script_reads_it(rules: Protocol, reply: str, score: float) -> None:
    assert rules.read(item(), "score", reply)["score"] == score


@pytest.mark.parametrize(
    "reply",
    ["", "4", "Score:4", "Score: -1", "Score: 4/5", "Score: ²", "**Score: 4**", "A: " + "9" * 5000, "A: 9999999"],
)
@pytest.mark.parametrize("rules", [basic(), uge()])
def test_what_the_script_would_drop_is_unreadable(rules: Protocol, reply: str) -> None:
    with pytest.raises(UnreadableReply):
        rules.read(item(), "score", reply)


@given(st.text(alphabet=st.sampled_from("Score: 45\n²９.*")))
def test_any_text_is_read_or_unreadable(reply: str) -> None:
    with contextlib.suppress(UnreadableReply):
        assert uge().read(item(), "score", reply)["score"] >= 0


def judged(category: str, score: float | None) -> JudgedItem:
    return JudgedItem(item(category), {} if score is None else {"score": score}, score)


def test_means_are_rounded_to_two_places_and_the_overall_one_is_over_items() -> None:
    numbers = basic().numbers([judged("add", 3.33), judged("add", 3.67), judged("add", 4.0), judged("style", 1.0)])
    assert numbers.main == "overall"
    assert list(numbers.values) == [*EDIT_TYPES, "overall"]
    assert (numbers.values["add"], numbers.values["style"], numbers.values["overall"]) == (3.67, 1.0, 3.0)
    assert numbers.values["remove"] is None
    assert uge().numbers([judged("uge", 3.33), judged("uge", 2.0)]).values == {"average": 2.67}


def test_halves_are_rounded_as_python_does() -> None:
    # 3.125 is exact, and goes to the even digit; 2.675 is a little less than it looks.
    assert basic().numbers([judged("add", 3.0)] * 7 + [judged("add", 4.0)]).values["add"] == 3.12
    assert basic().numbers([judged("add", 2.67), judged("add", 2.68)]).values["add"] == 2.67


def test_a_missing_score_leaves_its_numbers_open() -> None:
    values = basic().numbers([judged("add", 3.0), judged("add", None), judged("style", 4.0)]).values
    assert values["add"] is values["overall"] is None
    assert values["style"] == 4.0
    assert uge().numbers([judged("uge", None)]).values == uge().numbers([]).values == {"average": None}


@given(st.lists(st.tuples(st.sampled_from(EDIT_TYPES), st.integers(0, 500).map(lambda n: n / 100))), st.randoms())
def test_numbers_are_finite_and_the_order_of_items_does_not_matter(
    rows: list[tuple[str, float]], chance: random.Random
) -> None:
    items = [judged(category, score) for category, score in rows]
    values = basic().numbers(items).values
    assert all(value is None or 0 <= value <= 5 for value in values.values())
    chance.shuffle(items)
    assert basic().numbers(items).values == values
