"""UnicBench: three questions or four, JSON replies, geometric means."""

from __future__ import annotations

import contextlib
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import ImagePart, ImageStep, TextPart
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Table, UnreadableReply, UnsuitableItem
from scheduler.protocols.unicbench import REASONING_TASK, UnicBench
from tests.scheduler.protocols.made_texts import official_texts

PROMPTS = {f"_prompts_{name}": f"<{name}> <instruction>" for name in ("if", "nc", "vq")} | {
    "_prompts_ra": "<ra> <instruction> <reasoning_points>"
}
IMAGES = [ImagePart(image=name, step=ImageStep(rgb=True, encoding="jpeg")) for name in ("source", "edit")]
POINTS = {"reasoning_points": ["a “tree”", "b"]}


def rules() -> UnicBench:
    return UnicBench(Table({}, 1), official_texts({"data/prompts.py": PROMPTS}))


def item(category: str = "Color Change", task: str | None = "Attribute Editing", **more: Any) -> ItemFacts:
    return ItemFacts(category, "k1", "Make it red", task=task, **{"language": "en", **more})


def reasoning(**more: Any) -> ItemFacts:
    return item("Spatial", REASONING_TASK, **{"facts": POINTS, **more})


def test_each_question_shows_the_prompt_and_both_images() -> None:
    questions = rules().questions(item())
    assert [question.name for question in questions] == ["IF", "NC", "VQ"]
    assert questions[1].parts == [TextPart(text="<nc> Make it red"), *IMAGES]


def test_an_edit_that_needs_reasoning_has_a_fourth_question_with_the_points_as_json() -> None:
    assert rules().questions(reasoning())[3].parts[0] == TextPart(text='<ra> Make it red ["a \\u201ctree\\u201d", "b"]')
    assert list(rules().expected(reasoning())) == ["IF", "NC", "VQ", "RA"]
    assert list(rules().expected(reasoning(facts={}))) == ["IF", "NC", "VQ"]
    assert list(rules().expected(item(facts=POINTS))) == ["IF", "NC", "VQ"]


def test_an_item_in_another_language_is_unsuitable() -> None:
    with pytest.raises(UnsuitableItem):
        rules().questions(item(language=None))


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": 8, "reason": "fine"}', 8),
        ('```json\n{"score": 7.5}\n```', 7.5),
        ('{"score": "9", "reason": "(good)"}', 9),
        ('{"score": 12}', 12),
        ('{"score": true}', 1),
        ('{"score": 0}', 0),
    ],
)
def test_a_reply_is_read_as_the_script_reads_it(reply: str, score: float) -> None:
    assert rules().read(item(), "IF", reply) == {"IF": score}


@pytest.mark.parametrize(
    "reply",
    ["", "8", "[8]", "Score: 8", 'The JSON: {"score": 8}', '{"reason": "no score"}', '{"score": null}',
     '{"score": (8)}', '{"score": "high"}', '{"score": NaN}', '{"score": "inf"}', '{"score": -1}',
     '{"score": 1' + "0" * 400 + "}", "[" * 100_000],
)  # fmt: skip
def test_what_the_script_makes_0_or_cannot_add_up_is_unreadable(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        rules().read(item(), "IF", reply)


@given(st.text(alphabet=st.sampled_from('{}[]():,"` score8.5e-')))
def test_any_text_is_read_or_unreadable(reply: str) -> None:
    with contextlib.suppress(UnreadableReply):
        assert 0 <= rules().read(item(), "IF", '{"score": ' + reply)["IF"] < math.inf


def test_the_score_is_the_geometric_mean_of_all_ratings() -> None:
    assert rules().score(item(), {"IF": 8, "NC": 8, "VQ": 1}) == pytest.approx(4)
    assert rules().score(reasoning(), {"IF": 8, "NC": 2, "VQ": 1, "RA": 1}) == pytest.approx(2)


def judged(facts: ItemFacts, *ratings: float | None) -> JudgedItem:
    names = rules().expected(facts)
    dimensions = {name: value for name, value in zip(names, ratings, strict=False) if value is not None}
    return JudgedItem(facts, dimensions, rules().score(facts, dimensions) if len(dimensions) == len(names) else None)


def test_numbers_are_means_over_all_items_and_by_task_and_subtask() -> None:
    numbers = rules().numbers(
        [judged(item(), 8, 8, 8), judged(reasoning(), 4, 4, 4, 4), judged(reasoning(), 0, 1, 1, 1)]
    )
    assert numbers.main == "en/overall/overall_mean"
    assert numbers.values["en/overall/overall_mean"] == pytest.approx(4)
    assert numbers.values["en/overall/if_mean"] == 4
    assert numbers.values["en/overall/ra_mean"] == 2.5
    assert numbers.values[f"en/by_task/{REASONING_TASK}/overall_mean"] == pytest.approx(2)
    assert numbers.values["en/by_subtask/Color Change/nc_mean"] == 8
    assert "en/by_subtask/Color Change/ra_mean" not in numbers.values


def test_a_missing_rating_leaves_its_numbers_open() -> None:
    values = rules().numbers([judged(item(), 8, None, 8), judged(reasoning(), 4, 4, 4, 4)]).values
    assert values["en/overall/overall_mean"] is values["en/by_task/Attribute Editing/nc_mean"] is None
    assert values["en/overall/if_mean"] == 6
    assert values["en/by_subtask/Spatial/overall_mean"] == pytest.approx(4)


def test_an_item_that_could_not_be_loaded_counts_in_the_task_of_its_subtask() -> None:
    lost = ItemFacts("Spatial", "k9", "", loaded=False)
    values = (
        rules().numbers([judged(item(), 8, 8, 8), judged(reasoning(), 4, 4, 4, 4), JudgedItem(lost, {}, None)]).values
    )
    assert values[f"en/by_task/{REASONING_TASK}/ra_mean"] is values["en/by_subtask/Spatial/if_mean"] is None
    assert values["en/overall/overall_mean"] is None
    assert values["en/by_task/Attribute Editing/overall_mean"] == pytest.approx(8)


def test_no_item_has_no_number() -> None:
    assert rules().numbers([]).values == {"en/overall/overall_mean": None}


@given(st.lists(st.tuples(st.booleans(), *[st.none() | st.floats(0, 10)] * 4)), st.randoms())
def test_numbers_are_finite_and_the_order_of_items_does_not_matter(
    rows: list[tuple[Any, ...]], chance: random.Random
) -> None:
    items = [judged(reasoning() if reasons else item(), *ratings) for reasons, *ratings in rows]
    values = rules().numbers(items).values
    assert all(value is None or 0 <= value < 10.000001 for value in values.values())
    chance.shuffle(items)
    assert rules().numbers(items).values == values
