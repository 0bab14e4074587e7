"""Replies are read as each module of the fork reads them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.protocols.declaration import UnreadableReply
from scheduler.protocols.kris_replies import common_score, dual_scores, knowledge_score, plain_score

Reader = Callable[[str, str], float]
READERS = [common_score, plain_score, knowledge_score]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"consistency_score": 4, "reasoning": "as before"}', 4),
        ('Thoughts first: 2 of them.\n```json\n{"consistency_score": "3"}\n```', 3),
        ('{"other": {"consistency_score": 5}}', 5),
        ('{"quality_score": 1} {"consistency_score": 2}', 2),
        ('{"consistency_score": 4.7}', 4),
        ('{"consistency_score": 9}', 9),
        ('{"consistency_score": 4, }', 4),
        ("I give it 4/5.", 4),
        ("3 out of 5, as 2 things differ", 3),
        ("1. The colors differ. 2. So 4.", 1),
    ],
)
def test_json_goes_first_then_whatever_number_looks_like_a_score(reader: Reader, reply: str, score: int) -> None:
    assert reader(reply, "consistency") == score


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("reply", ["", "no score", "6 of 10", "45", '{"consistency_score": 1e400}', "½"])
def test_a_reply_without_a_score_is_unreadable(reader: Reader, reply: str) -> None:
    with pytest.raises(UnreadableReply):
        reader(reply, "consistency")


@pytest.mark.parametrize("reader", READERS)
def test_a_score_of_many_digits_is_unreadable(reader: Reader) -> None:
    with pytest.raises(UnreadableReply, match="nine digits"):
        reader('{"consistency_score": "' + "9" * 400 + '"}', "consistency")


def test_the_name_of_a_score_helps_all_readers_but_the_plain_one() -> None:
    reply = "1 change. Quality score： 4"
    assert common_score(reply, "quality") == knowledge_score(reply, "quality") == 4
    assert plain_score(reply, "quality") == 1


def test_a_null_in_json_is_final_for_knowledge_alone() -> None:
    reply = 'All 3: {"quality_score": null}'
    assert common_score(reply, "quality") == plain_score(reply, "quality") == 3
    with pytest.raises(UnreadableReply):
        knowledge_score(reply, "quality")


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ('{"instruction_score": 4, "knowledge_score": "2"}', (4, 2)),
        ('First: {"instruction_score": 4, "why": {"a": 1}, "knowledge_score": 3} and {}', (4, 3)),
        ("Instruction score: 5\nknowledge_score: 1", (5, 1)),
        ('{"instruction_score": 5, "knowledge_score": 3, }', (5, 3)),
        ('{} "instruction_score": 2, "knowledge_score" : 4', (2, 4)),
    ],
)
def test_two_scores_come_from_the_whole_reply_its_first_braces_or_their_names(
    reply: str, scores: tuple[int, int]
) -> None:
    assert dual_scores(reply) == scores


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "4",
        "[4, 5]",
        '{"instruction_score": 4}',
        '{"instruction_score": 4, "knowledge_score": "good"}',
        '{"instruction_score": 4, "knowledge_score": [2]}',
        '{"instruction_score": 4, "knowledge_score": Infinity}',
        "Instruction score: 5",
        "instruction score： 5, knowledge score： 5",
        "{" * 100_000,
        "[" * 100_000,
    ],
)
def test_a_reply_that_lacks_one_of_two_scores_is_unreadable(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        dual_scores(reply)


@pytest.mark.parametrize("reader", READERS)
def test_a_score_that_is_nested_deeply_is_as_none_at_all(reader: Reader) -> None:
    reply = '{"consistency_score": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(UnreadableReply):
        reader(reply, "consistency")
    assert reader(f"{reply} 4/5", "consistency") == 4


@given(st.text("{}[]:,\"'_ /15consistecy_rquald\n", max_size=60), st.sampled_from(READERS))
def test_any_reply_is_read_or_unreadable(reply: str, reader: Reader) -> None:
    with contextlib.suppress(UnreadableReply):
        assert math.isfinite(reader(reply, "consistency"))
    with contextlib.suppress(UnreadableReply):
        assert all(map(math.isfinite, dual_scores(reply)))
