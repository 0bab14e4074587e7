"""The built-in prompts: complete, well-formed, and each about its own category."""

from __future__ import annotations

import difflib
import itertools
import re
import string
from pathlib import Path

import pytest
import yaml

import scheduler.config

CATEGORIES = ("物理", "环境", "社会", "因果", "指代")
PLACEHOLDERS = {"original_description", "edit_instruction"}
PROMPTS: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(scheduler.config.__path__[0]) / "builtin_prompts.yaml").read_text("utf-8")
)
WORDS_OF_ITS_OWN = {
    "物理": ("重力", "阴影", "材料", "接触", "守恒"),
    "环境": ("季节", "天气", "时段", "光照", "布局"),
    "社会": ("角色", "表情", "习俗", "互动", "刻板印象"),
    "因果": ("原因", "结果", "程度", "时间", "后果"),
    "指代": ("方位", "颜色", "次序", "代词", "同类"),
}

every_category = pytest.mark.parametrize("category", [*CATEGORIES, "default"])


def fields_of(template: str) -> list[str]:
    """Names of the placeholders; raises ValueError on a brace that is alone."""
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def whole(category: str) -> str:
    prompt = PROMPTS[category]
    return prompt["system_prompt"] + "\n" + prompt["user_prompt_template"]


def chinese_characters(text: str) -> int:
    return len(re.findall(r"[一-鿿]", text))


def test_there_are_the_five_categories_and_a_default() -> None:
    assert tuple(PROMPTS) == (*CATEGORIES, "default")
    assert all(set(prompt) == {"system_prompt", "user_prompt_template"} for prompt in PROMPTS.values())


@every_category
def test_the_user_prompt_has_both_placeholders_once_and_no_other_brace(category: str) -> None:
    assert sorted(fields_of(PROMPTS[category]["user_prompt_template"])) == sorted(PLACEHOLDERS)


@every_category
def test_the_system_prompt_has_no_brace_at_all(category: str) -> None:
    assert not set(PROMPTS[category]["system_prompt"]) & set("{}")


@every_category
def test_filled_in_it_ends_with_the_form_of_the_answer(category: str) -> None:
    filled = PROMPTS[category]["user_prompt_template"].format(original_description="一只猫", edit_instruction="换成狗")
    assert "一只猫" in filled
    assert "换成狗" in filled
    assert re.fullmatch(r'\{"score": <[^<>]*0[^<>]*10[^<>]*>, "reason": "<[^<>]+>"\}', filled.splitlines()[-1])


@every_category
def test_the_scale_has_anchors_from_0_to_10_in_falling_order(category: str) -> None:
    anchors = re.findall(r"^(?:(\d+) 到 )?(\d+)(?:：| - )", PROMPTS[category]["system_prompt"], re.MULTILINE)
    upper = [int(high) for _, high in anchors]
    assert len(upper) == 6
    assert upper == sorted(upper, reverse=True)
    assert (upper[0], upper[-1]) == (10, 0)


@every_category
def test_it_says_what_must_stay_what_caps_the_score_and_what_to_do_without_a_description(category: str) -> None:
    chinese = ("必须保留", "至多", "0 到 1 分", "扣分|减分|压分")
    english = ("must stay", "at most", "0 to 1", "no description")
    wanted = english if category == "default" else chinese
    assert [words for words in wanted if not re.search(words, PROMPTS[category]["system_prompt"])] == []


@every_category
def test_it_serves_the_edit_alone_and_beside_the_original(category: str) -> None:
    text = PROMPTS[category]["system_prompt"]
    assert ("original followed by the edit" in text) if category == "default" else ("原图" in text and "编辑" in text)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_has_the_criteria_of_its_own_category(category: str) -> None:
    missing = [word for word in WORDS_OF_ITS_OWN[category] if word not in PROMPTS[category]["system_prompt"]]
    assert missing == []


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_chinese_ones_are_chinese_and_not_too_long(category: str) -> None:
    assert 400 < chinese_characters(whole(category)) < 900


def test_the_default_is_english() -> None:
    assert chinese_characters(whole("default")) == 0
    assert whole("default").isascii()


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(CATEGORIES, 2)))
def test_no_two_are_nearly_the_same(one: str, other: str) -> None:
    matcher = difflib.SequenceMatcher(None, whole(one), whole(other), autojunk=False)
    assert matcher.ratio() < 0.5
