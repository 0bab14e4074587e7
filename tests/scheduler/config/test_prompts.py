"""Prompts: what is filled in, which ones a category gets, and which braces are errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import Prompt
from scheduler.config.prompts import PLACEHOLDERS, PromptTemplate, builtin_entries
from tests.scheduler.config.written import load, only_problem

OWN = """
prompts:
  物理: {system_prompt: own system, user_prompt_template: "own {edit_instruction}"}
  quality:
    aspects:
      done: {system_prompt: "", user_prompt_template: "{edit_instruction}?"}
      nice: {system_prompt: be kind, user_prompt_template: nice?}
    combine: geometric_mean
  default: {system_prompt: "", user_prompt_template: "default {edit_instruction}"}
"""


def test_filling_in_happens_once() -> None:
    template = PromptTemplate(
        "", "{edit_instruction}", "{original_description}|{edit_instruction}|{{edit_instruction}}"
    )
    rendered = template.render("{edit_instruction} {{x}} {0}", "{original_description}")
    assert rendered == Prompt(
        system="{original_description}",
        user="{edit_instruction} {{x}} {0}|{original_description}|{edit_instruction}",
    )


def test_a_missing_description_is_an_empty_text() -> None:
    assert PromptTemplate("", "", "[{original_description}]").render(None, "x").user == "[]"


@given(
    st.text(), st.text(), st.lists(st.sampled_from(["{{", "}}", "{original_description}", "{edit_instruction}", "a"]))
)
def test_filling_in_is_plain_replacement_piece_by_piece(description: str, instruction: str, pieces: list[str]) -> None:
    meaning = {"{{": "{", "}}": "}", "{original_description}": description, "{edit_instruction}": instruction, "a": "a"}
    rendered = PromptTemplate("", "", "".join(pieces)).render(description, instruction)
    assert rendered.user == "".join(meaning[piece] for piece in pieces)


def test_which_prompts_a_category_gets(tmp_path: Path) -> None:
    prompts = load(tmp_path, OWN).prompts
    assert prompts.for_category("物理").templates[0].user == "own {edit_instruction}"
    assert prompts.for_category("环境").templates[0].user == builtin_entries()["环境"].user_prompt_template
    assert prompts.for_category("unheard of").templates[0].user == "default {edit_instruction}"


def test_without_prompts_every_category_has_built_in_ones(tmp_path: Path) -> None:
    prompts = load(tmp_path, "logging: {}").prompts
    built_in = builtin_entries()
    assert set(built_in) == {"物理", "环境", "社会", "因果", "指代", "default"}
    assert prompts.for_category("unheard of").templates[0].user == built_in["default"].user_prompt_template
    assert prompts.for_category("指代").templates[0].system == built_in["指代"].system_prompt


def test_aspects_are_several_prompts_and_a_way_to_combine_them(tmp_path: Path) -> None:
    quality = load(tmp_path, OWN).prompts.for_category("quality")
    assert [template.aspect for template in quality.templates] == ["done", "nice"]
    assert quality.combine == "geometric_mean"
    assert quality.templates[0].render("", "go").user == "go?"


@pytest.mark.parametrize(
    ("template", "position"),
    [
        ("{", "line 1, column 1"),
        ("a {x} b", "line 1, column 3"),
        ("one\\ntwo }", "line 2, column 5"),
        ("{edit_instruction", "line 1, column 1"),
        ("{ edit_instruction }", "line 1, column 1"),
        ('{{{\\"score\\": 1}', "line 1, column 3"),
        ("{original_description!r}", "line 1, column 1"),
    ],
)
def test_any_other_brace_is_an_error_with_its_position(tmp_path: Path, template: str, position: str) -> None:
    problem = only_problem(tmp_path, f'prompts: {{c: {{system_prompt: "", user_prompt_template: "{template}"}}}}')
    assert problem.path == "prompts.c.user_prompt_template"
    assert position in problem.message
    assert all(name in problem.message for name in PLACEHOLDERS)


@pytest.mark.parametrize(
    ("entry", "path", "message"),
    [
        ("c: {system_prompt: x}", "prompts.c.user_prompt_template", "is missing"),
        ("c: {user_prompt_template: x}", "prompts.c.system_prompt", "is missing"),
        ("c: {system_prompt: x, user_prompt_template: ''}", "prompts.c.user_prompt_template", "is empty"),
        (
            "c: {system_prompt: x, user_prompt_templat: y, user_prompt_template: z}",
            "prompts.c.user_prompt_templat",
            "un",
        ),
        ("c: {aspects: {a: {system_prompt: x}}}", "prompts.c.aspects.a.user_prompt_template", "is missing"),
        ("c: {aspects: {a/b: {system_prompt: '', user_prompt_template: x}}}", "prompts.c.aspects.a/b", "must not be"),
        ("c: {system_prompt: x, user_prompt_template: y, combine: min}", "prompts.c.combine", "without `aspects`"),
        ("c: {aspects: {}}", "prompts.c.aspects", "at least 1"),
        ("c: text", "prompts.c", "must be a mapping"),
        ("c:", "prompts.c", "must be a mapping"),
        ("a/b: {system_prompt: x, user_prompt_template: y}", "prompts.a/b", "must not be"),
    ],
)
def test_entries_are_checked(tmp_path: Path, entry: str, path: str, message: str) -> None:
    problem = only_problem(tmp_path, f"prompts: {{{entry}}}" if not entry.endswith(":") else f"prompts:\n  {entry}\n")
    assert problem.path == path
    assert message in problem.message


def test_one_question_and_aspects_exclude_each_other(tmp_path: Path) -> None:
    entry = "{system_prompt: s, aspects: {a: {system_prompt: '', user_prompt_template: x}}}"
    assert only_problem(tmp_path, f"prompts: {{c: {entry}}}").message == "is given beside `aspects` (line 1)"


def test_a_scale_that_the_built_in_prompts_do_not_use_gets_a_notice(tmp_path: Path) -> None:
    text = "reward_model: {params: {score_range: [1, 5]}}\n"
    assert "built-in prompts ask for 0 to 10" in load(tmp_path, text).notices[0]
    assert not load(tmp_path, text + OWN).notices
