"""Reading a score from a reply: what counts, what does not, and that nothing is ever made up."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.models.rewards.replies import ReadScore, Unreadable, read_score


@pytest.mark.parametrize(
    ("text", "score", "method"),
    [
        ('{"score": 7.5, "reason": "好"}', 7.5, "json"),
        ('```json\n{"score": 8}\n```', 8, "json"),
        ('我认为编辑得很好。\n{"评分": 6, "理由": "一般"}\n完毕。', 6, "json"),
        ('{"Score": 0}', 0, "json"),
        ('{"分数": "7.5"}', 7.5, "json"),
        ('{"总分": "8/10"}', 8, "json"),
        ('{"result": {"score": 7}}', 7, "json"),
        ('{"score": 7, "detail": {"score": 2}}', 7, "json"),
        ('{"score": 7, "reason": "score: 3"}', 7, "json"),
        ('{"score": 8, "reason": "一个 } 和 \\" 也不要紧"}', 8, "json"),
        ('比如 {"score": 5}。我的回答：{"score": 8}', 8, "json"),
        ('<think>也许 {"score": 3}</think>{"score": 4}', 4, "json"),
        ('{"score": 10.0}', 10, "json"),
        ("Score: 7.5", 7.5, "marked"),
        ("**Score:** 7", 7, "marked"),
        ("**评分**：**8分**，很好", 8, "marked"),
        ("评分：7.5", 7.5, "marked"),
        ("得分: 8", 8, "marked"),
        ("评分（0-10）：8", 8, "marked"),
        ("Rating = 9 out of 10", 9, "marked"),
        ("I would say 7.5/10.", 7.5, "marked"),
        ("7／10", 7, "marked"),
        ("{'score': 7}", 7, "marked"),
        ('{"score": 8, "reason": "构图', 8, "marked"),
        ('{"score": 5} 或者 {"score": 8, "reason": "构图"好"}', 8, "marked"),
        ("Score: 3\nNo, better:\nScore: 6", 6, "marked"),
    ],
)
def test_a_clear_score_is_read(text: str, score: float, method: str) -> None:
    assert read_score(text, 0, 10) == ReadScore(score, method)  # type: ignore[arg-type]  # a literal in the parameters


@pytest.mark.parametrize(
    "text",
    [
        "",
        "很好",
        "8分",
        "满分10分",
        '{"score": true}',
        '{"score": null}',
        '{"score": NaN}',
        '{"score": Infinity}',
        '{"score": 1e1}',
        '{"score": "good"}',
        '{"score": "7 或 8"}',
        '{"score": [7]}',
        '{"score": 11}',
        '{"score": -1}',
        '{"score": 7} {"score": 85}',
        '{"color": {"score": 7}, "shape": {"score": 3}}',
        '{"score": 7, "评分": 3}',
        '{"reason": "score: 7"}',
        "Score: 85%",
        "Score: 7-8",
        "评分：7到8",
        "评分：8分钟",
        "Score: 7 or 8",
        "Score: seven",
        "Score: 7/100",
        "Score: 7 (out of 5)",
        "Score: 7,5",
        "Score: 5. Score: N/A",
        "评分：\n1. 颜色不错",
        "underscore: 3",
        "3/4 of the picture is right",
        "10/10/2024",
        "colours 3/10, shapes 8/10",
        '<think>{"score": 3}',
    ],
)
def test_what_is_not_clearly_one_score_is_not_read(text: str) -> None:
    assert isinstance(read_score(text, 0, 10), Unreadable)


def test_the_denominator_has_to_be_the_top_of_the_scale() -> None:
    assert read_score("4/5", 0, 5) == ReadScore(4, "marked")
    assert isinstance(read_score("8/10", 0, 5), Unreadable)
    assert read_score("8/10, so 4/5", 0, 5) == ReadScore(4, "marked")


def test_a_score_outside_the_scale_is_not_moved_into_it() -> None:
    reading = read_score('{"score": 12}', 0, 10)
    assert isinstance(reading, Unreadable)
    assert "outside 0 to 10" in reading.reason


def test_the_number_that_a_reply_was_cut_off_in_is_not_taken() -> None:
    assert isinstance(read_score('{"score": 1', 0, 10, cut_off=True), Unreadable)
    assert isinstance(read_score("评分：1", 0, 10, cut_off=True), Unreadable)
    assert isinstance(read_score("7/10", 0, 10, cut_off=True), Unreadable)
    assert read_score('{"score": 1, "rea', 0, 10, cut_off=True) == ReadScore(1, "marked")


_NUMBERS = st.one_of(
    st.integers(-20, 120).map(str),
    st.decimals(-20, 120, places=2, allow_nan=False).map(str),
    st.sampled_from(["1e1", "NaN", "true", "null", "7/10", "10/10", "'7'", '"8"', "七", "٣", "９", "-0", "1" * 30]),
)
_PIECES = st.one_of(
    st.text(max_size=8),
    _NUMBERS,
    st.sampled_from(['{"score":', '{"评分": ', '"score": ', "Score: ", "评分：", "得分=", "/10", "分", " out of 10"]),
    st.sampled_from(["```json\n", "```", "<think>", "</think>", *'{}"\\,[](-.\n ']),
)
_REPLIES = st.lists(_PIECES, max_size=20).map("".join)


@given(
    text=st.one_of(st.text(), _REPLIES), scale=st.sampled_from([(0, 10), (1, 5), (-5, 5), (0, 1)]), cut=st.booleans()
)
@settings(max_examples=400)
def test_a_score_is_always_on_the_scale_and_in_the_text(text: str, scale: tuple[int, int], cut: bool) -> None:
    reading = read_score(text, *scale, cut_off=cut)
    if isinstance(reading, ReadScore):
        assert math.isfinite(reading.score)
        assert scale[0] <= reading.score <= scale[1]
        assert reading.score in {float(number) for number in re.findall(r"[-+]?[0-9]+(?:\.[0-9]+)?", text)}
    else:
        assert reading.reason


@given(score=st.integers(0, 10), before=st.text("一二三四 ，。\n"), after=st.text("一二三四 ，。\n"))
def test_prose_around_the_asked_form_changes_nothing(score: int, before: str, after: str) -> None:
    assert read_score(f'{before}{{"score": {score}}}{after}', 0, 10) == ReadScore(score, "json")


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "1",
        '"',
        "\\",
        '{"a":',
        '{"score":',
        '{"score":[',
        "score: ",
        "Score",
        "评分（",
        "1/",
        "7/10 ",
        "{}",
        " ",
        "**",
    ],
)
def test_a_hostile_reply_is_read_in_linear_time(piece: str) -> None:
    """A hundred kilobytes take hundredths of a second; anything quadratic in them takes minutes."""
    text = (piece * 100_000)[:100_000]
    started = time.process_time()
    read_score(text, 0, 10)
    assert time.process_time() - started < 2


def test_an_object_that_is_nested_beyond_reason_is_read_like_a_broken_one() -> None:
    depth = 30_000
    assert read_score('{"score":' * depth + "7" + "}" * depth, 0, 10) == ReadScore(7, "marked")
    assert isinstance(read_score('{"a":' * depth + '"b"' + "}" * depth, 0, 10), Unreadable)
