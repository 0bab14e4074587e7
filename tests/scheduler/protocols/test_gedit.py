"""GEdit-Bench: its questions, how each form of a reply is read, and its numbers."""

from __future__ import annotations

import contextlib
import math
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import ImagePart, ImageStep, TextPart
from scheduler.protocols.declaration import ItemFacts, JudgedItem, Table, UnreadableReply, UnsuitableItem
from scheduler.protocols.gedit import GROUPS, PROTOCOL, GEdit
from tests.scheduler.protocols.made_texts import official_texts

PROMPTS = {
    "_context_no_delimit": "<context>",
    "_prompts_0shot_two_image_edit_rule": "<two images>",
    "_prompts_0shot_tie_rule_SC": "Follow <instruction>?",
    "_prompts_0shot_rule_PQ": "<quality>",
}


def item(category: str = "ps_human", language: str | None = "en", **more: Any) -> ItemFacts:
    return ItemFacts(category, "k1", "Make it {red} <instruction>", language=language, **more)


def rules() -> GEdit:
    return GEdit(Table({}, 1), official_texts({"GEdit-Bench/viescore/vie_prompts.py": PROMPTS}))


def read(reply: str) -> float:
    return rules().read(item(), "SC", reply)["SC"]


def test_the_first_question_shows_both_images_and_the_second_the_edit_alone() -> None:
    consistency, quality = rules().questions(item())
    source = ImagePart(image="source", step=ImageStep(rgb=True, upright=True, encoding="jpeg"))
    edit = ImagePart(image="edit", step=ImageStep(rgb=True, upright=True, size_of="source", encoding="jpeg"))
    text = "<context>\n<two images>\nFollow Make it {red} <instruction>?"
    assert (consistency.name, consistency.parts) == ("SC", [TextPart(text=text), source, edit])
    assert (quality.name, quality.parts) == ("PQ", [TextPart(text="<context>\n<quality>"), edit])
    assert rules().expected(item()) == {"SC": ("SC",), "PQ": ("PQ",)}


@pytest.mark.parametrize("unsuitable", [item("text_added"), item(language=None), item(language="zh")])
def test_an_item_that_is_in_no_number_is_unsuitable(unsuitable: ItemFacts) -> None:
    with pytest.raises(UnsuitableItem):
        rules().questions(unsuitable)


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": [8, 9], "reasoning": "Good."}', 8),
        ('Here it is:\n```json\n{"score" : [7.5, 9],\n"reasoning" : "a {b}"}\n```', 7.5),
        ('{"score": 6, "reasoning": "one"}', 6),
        ('{"score": [12, 11]}', 11),
        ('||V^=^V||\n{"score": [3, 4]}\n||V^=^V||', 3),
        ('||V^=^V||{"score": [3, 4]}', 3),
        ("[9, 4]", 4),
        ("The scores are [9,4].", 4),
        ('{"score": [9, 4], "reasoning": "cut o', 4),
        (" 10\n", 10),
        ("1_0", 10),
        ("{score: 5, reasoning: fine}", 5),
        ('{"score": 5, reasoning: fine}', 5),
        ("{score: 2.5}", 2.5),
        ("||V^=^V||{score: 5}||V^=^V||", 5),
        ('{"score": [NaN, 5]}', None),
        ('{"score": [5, NaN]}', 5),
        ('{"score": [0, true]}', 0),
    ],
)
def test_a_reply_is_read_as_the_script_reads_it(reply: str, score: float | None) -> None:
    if score is None:
        with pytest.raises(UnreadableReply):
            read(reply)
    else:
        assert read(reply) == score


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I'd say eight.",
        "11",
        "[1, 2, 3]",
        "[08, 9]",
        "[8,  9]",
        "||V^=^V||8||V^=^V||",
        "||V^=^V||[8, 9]||V^=^V||",
        "} {",
        '{"rating": 8}',
        '{"score": []}',
        '{"score": "8"}',
        '{"score": ["8", "9"]}',
        '{"score": [8, "9"]}',
        '{"score": null}',
        '{"score": true}',
        '{"score": {"edit": 8}}',
        '{"score": [[8], [9]]}',
        '{"score": [-1, 5]}',
        '{"score": [1e400]}',
        '{"score": [1e9]}',
        '{"score": ' + "9" * 5000 + "}",
        '{"score": ' + "[" * 5000 + "]" * 5000 + "}",
        "{score: [8, 9], reasoning: fine}",
        "{score: five}",
        "rate_limit_exceeded",
    ],
)
def test_what_the_script_would_guess_or_ask_again_for_is_unreadable(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        read(reply)


@pytest.mark.parametrize("piece", ["a", '"', '":', ",", "{", "}", '":,', "[", "||V^=^V||", '"a'])
def test_a_long_reply_takes_linear_time(piece: str) -> None:
    reply = "{" + piece * 500_000 + "}"
    started = time.process_time()
    with pytest.raises(UnreadableReply):
        read(reply)
    assert time.process_time() - started < 3


@given(st.text(alphabet=st.sampled_from('{}[]":,| score8.5\n|V^=')))
def test_any_text_is_read_or_unreadable(reply: str) -> None:
    with contextlib.suppress(UnreadableReply):
        assert 0 <= read(reply) < math.inf


def test_the_score_is_the_geometric_mean() -> None:
    assert rules().score(item(), {"SC": 4.0, "PQ": 9.0}) == 6.0


def judged(group: str, language: str, sc: float | None, pq: float | None, **more: Any) -> JudgedItem:
    dimensions = {name: value for name, value in (("SC", sc), ("PQ", pq)) if value is not None}
    whole = None if sc is None or pq is None else math.sqrt(sc * pq)
    return JudgedItem(item(group, language, **more), dimensions, whole)


def full(language: str = "en", **more: Any) -> list[JudgedItem]:
    return [judged(group, language, 4, 9, **more) for group in GROUPS]


def test_the_average_is_over_the_means_of_the_groups() -> None:
    numbers = rules().numbers([*full(), judged("ps_human", "en", 0, 9), judged("ps_human", "en", 0, 9)])
    assert numbers.main == "full/en/Average/O"
    assert numbers.values["full/en/ps_human/O"] == 2
    assert numbers.values["full/en/ps_human/SC"] == pytest.approx(4 / 3)
    assert numbers.values["full/en/Average/O"] == pytest.approx((6 * 10 + 2) / 11)
    assert numbers.values["full/en/Average/PQ"] == 9
    assert len(numbers.values) == 3 * 12


def test_languages_and_the_intersection_have_numbers_of_their_own() -> None:
    shared = full(subsets=("intersection",))
    numbers = rules().numbers([*full(), *shared, judged("ps_human", "en", 0, 0), *full("cn")])
    assert numbers.values["intersection/en/Average/O"] == 6
    assert numbers.values["full/cn/Average/O"] == 6
    full_average = numbers.values["full/en/Average/O"]
    assert full_average is not None
    assert full_average < 6
    assert "intersection/cn/Average/O" not in numbers.values
    assert rules().numbers(shared).main == "intersection/en/Average/O"
    assert not [name for name in rules().numbers(shared).values if name.startswith("full")]


def test_a_missing_score_or_group_leaves_no_average() -> None:
    values = rules().numbers([*full()[1:]]).values
    assert values["full/en/background_change/O"] is values["full/en/Average/O"] is None
    values = rules().numbers([*full(), judged("ps_human", "en", 4, None)]).values
    assert values["full/en/ps_human/SC"] == values["full/en/Average/SC"] == 4
    assert values["full/en/ps_human/O"] is values["full/en/Average/O"] is values["full/en/Average/PQ"] is None
    assert values["full/en/tone_transfer/O"] == 6


def test_an_item_that_could_not_be_loaded_may_belong_to_any_subset() -> None:
    lost = JudgedItem(item("ps_human", None, loaded=False), {}, None)
    values = rules().numbers([*full(), *full(subsets=("intersection",)), lost]).values
    assert values["full/en/Average/O"] is values["intersection/en/ps_human/O"] is None
    assert values["intersection/en/tone_transfer/O"] == 6


def test_scores_outside_of_the_scale_count_and_are_named() -> None:
    numbers = rules().numbers([*full(), judged("ps_human", "en", 12, 12)])
    assert numbers.values["full/en/ps_human/O"] == 9
    assert numbers.deviations == ("The judge gave 1 of 12 items a score outside of 0 to 10, used as it is.",)
    assert rules().numbers(full()).deviations == ()


def test_no_item_has_no_number() -> None:
    assert rules().numbers([]).values == {"full/en/Average/O": None}


@given(st.lists(st.tuples(st.sampled_from(GROUPS), st.none() | st.floats(0, 10), st.floats(0, 10))), st.randoms())
def test_numbers_are_finite_and_the_order_of_items_does_not_matter(
    rows: list[tuple[str, float | None, float]], chance: random.Random
) -> None:
    items = [judged(group, "en", sc, pq) for group, sc, pq in rows]
    values = rules().numbers(items).values
    assert all(value is None or 0 <= value <= 10 for value in values.values())
    chance.shuffle(items)
    assert rules().numbers(items).values == values


def test_the_declared_judge_and_items() -> None:
    assert PROTOCOL.judge.models[0] == "gpt-4.1"
    assert PROTOCOL.items["gedit"] == PROTOCOL.items["gedit/en"] + PROTOCOL.items["gedit/cn"]
