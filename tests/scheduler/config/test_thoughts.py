"""``scoring: logits`` is refused for a model that thinks first, as far as its files are there to tell."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.checks.thoughts import thoughts_refused
from scheduler.config.loading import Overrides, load_config
from tests.scheduler.config.written import load, problems_of, write

THINKING = "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
INSTRUCT = THINKING.replace("<think>\n", "")
CONFIG = """\
diffusion_model: {{type: identity}}
reward_model:
  type: {kind}
  params:
    model_name: {name}
    device: cpu
    scoring: {scoring}
"""


def refused(folder: Path, name: str | Path, scoring: str = "logits", kind: str = "qwen3_vl") -> str | None:
    return thoughts_refused(load(folder, CONFIG.format(name=name, scoring=scoring, kind=kind)).reward_model)


def model(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, which is empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_config_with_such_a_model_has_one_problem_with_its_line_and_a_hint(tmp_path: Path) -> None:
    folder = model(tmp_path / "thinking", chat_template__jinja=THINKING)
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    text = CONFIG.format(name=folder, scoring="logits", kind="qwen3_vl")
    overrides = Overrides(data=tmp_path / "data.json")
    (problem,) = problems_of(tmp_path, text, overrides, Environment())
    assert problem.path == "reward_model.params.scoring"
    assert problem.message == (
        "logits reads how an answer begins, and answers of this model begin with a thought (<think>) (line 7)"
    )
    assert problem.hint == "write `scoring: generate`, with a max_new_tokens that has room for the thought"
    assert not problems_of(tmp_path, text.replace("logits", "generate"), overrides, Environment())


@pytest.mark.parametrize(
    ("files", "thinks"),
    [
        ({"chat_template__json": json.dumps({"chat_template": THINKING})}, True),
        ({"tokenizer_config__json": json.dumps({"chat_template": THINKING})}, True),
        ({"chat_template__json": json.dumps({"chat_template": INSTRUCT}), "chat_template__jinja": THINKING}, False),
        ({"tokenizer_config__json": json.dumps({"chat_template": [{"name": "a", "template": THINKING}]})}, False),
        ({"chat_template__json": "{", "tokenizer_config__json": "[]", "chat_template__jinja": THINKING}, True),
        ({}, False),
    ],
)
def test_the_first_file_that_has_a_template_counts(tmp_path: Path, files: dict[str, str], thinks: bool) -> None:
    assert bool(refused(tmp_path, model(tmp_path / "m", **files))) is thinks


def test_a_limit_that_is_short_for_a_thought_is_noticed(tmp_path: Path) -> None:
    folder = model(tmp_path / "thinking", chat_template__jinja=THINKING)
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    overrides = Overrides(data=tmp_path / "data.json")

    def notices(more: str, name: Path = folder) -> tuple[str, ...]:
        text = CONFIG.format(name=name, scoring="generate", kind="qwen3_vl") + more
        return load_config(write(tmp_path, text), overrides, Environment()).notices

    (notice,) = notices("")
    assert notice == (
        "reward_model.params.max_new_tokens is 128, and replies of this model begin with a thought: "
        "one that is cut off within it gives no score"
    )
    assert notices("    max_new_tokens: 4096\n") == ()
    assert notices("", model(tmp_path / "instruct", chat_template__jinja=INSTRUCT)) == ()


def test_replies_may_be_read_from_any_model(tmp_path: Path) -> None:
    assert not refused(tmp_path, model(tmp_path / "m", chat_template__jinja=THINKING), "generate")


@pytest.mark.parametrize("name", ["a/b/../c", "o/n$", "x" * 300, "/", "owner/" + "y" * 200, "..hm"])
def test_a_name_that_no_model_can_have_tells_nothing(tmp_path: Path, name: str) -> None:
    assert not refused(tmp_path, name)


def test_a_simulated_reward_has_no_template(tmp_path: Path) -> None:
    assert not refused(tmp_path, model(tmp_path / "m", chat_template__jinja=THINKING), kind="simulated")


def test_a_model_of_the_hub_is_looked_up_in_the_cache_once_it_is_there(tmp_path: Path, cache: Path) -> None:
    assert not refused(tmp_path, "owner/judge")
    repository = cache / "models--owner--judge"
    model(repository / "snapshots" / "abc", chat_template__jinja=THINKING)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc", encoding="utf-8")
    assert refused(tmp_path, "owner/judge")


def test_the_official_thinking_models_are_known_by_name_before_they_are_downloaded(tmp_path: Path) -> None:
    assert refused(tmp_path, "Qwen/Qwen3-VL-8B-Thinking")
    assert refused(tmp_path, "Qwen/Qwen3-VL-30B-A3B-Thinking-FP8")
    assert not refused(tmp_path, "Qwen/Qwen3-VL-8B-Instruct")
