"""A model that thinks before it answers, on the real classes: its template ends the prompt in ``<think>``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.tiny_models.tokenizer import CHAT_TEMPLATE
from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.interface import ModelError
from workers.models.rewards.conversations import first_question, second_question
from workers.models.rewards.judgements import ASKED_AGAIN
from workers.models.rewards.parameters import read_settings
from workers.models.rewards.qwen3_vl import Qwen3VLReward
from workers.models.thoughts import opens_thought, template_opens_thought

THINKING_TEMPLATE = CHAT_TEMPLATE.replace("assistant\n", "assistant\n<think>\n")
QWEN_THINKING = "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n<think>\\n' }}\n{%- endif %}\n"
QWEN_INSTRUCT = QWEN_THINKING.replace("<think>\\n", "")
SWITCHABLE = (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)


@pytest.mark.parametrize(
    ("template", "thinks"),
    [
        (THINKING_TEMPLATE, True),
        (QWEN_THINKING, True),
        ("{% if not add_generation_prompt is defined %}{% endif %}" + QWEN_THINKING, True),
        (CHAT_TEMPLATE, False),
        (QWEN_INSTRUCT, False),
        ("{{ '<think>' }}" + QWEN_INSTRUCT, False),
        (QWEN_INSTRUCT.replace("assistant", "assistant<think></think>"), False),
        ("{{ messages }}", False),
        (SWITCHABLE, None),
    ],
)
def test_a_template_tells_whether_an_answer_begins_with_a_thought(template: str, thinks: bool | None) -> None:
    assert template_opens_thought(template) is thinks


def test_a_prompt_ends_within_a_thought_if_the_thought_is_its_end() -> None:
    assert opens_thought("...assistant\n<think>\n")
    assert not opens_thought("<think></think>...assistant\n")


class Scripted(Qwen3VLReward):
    """Says what the test wants it to, in the place of the tiny model's noise; ``prompts`` are what it was asked."""

    replies: Iterator[tuple[str, bool]] = iter(())

    def _forward(self, function: Any, inputs: Mapping[str, Any], *arguments: Any) -> Any:
        replies = super()._forward(function, inputs, *arguments)
        return [type(reply)(*next(self.replies), in_thought=reply.in_thought) for reply in replies]


@pytest.fixture(scope="module")
def thinking(tiny_reward_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scripted:
    folder = Path(shutil.copytree(tiny_reward_path, tmp_path_factory.mktemp("thinking") / "model"))
    (folder / "chat_template.jinja").write_text(THINKING_TEMPLATE, encoding="utf-8")
    model = loaded(folder, Scripted)
    assert isinstance(model, Scripted)
    return model


def test_logits_are_refused_with_the_key_to_change(thinking: Scripted) -> None:
    with pytest.raises(ModelError) as caught:
        score(thinking, [asked(grey(9))], LOGITS)
    assert caught.value.kind == "config"
    assert str(caught.value) == (
        "reward_model.params.scoring: logits reads how an answer begins, and answers of this model begin with a "
        "thought (<think>); write `scoring: generate`, with a max_new_tokens that has room for the thought"
    )


def test_the_real_model_that_ends_within_its_thought_has_no_score_and_is_not_asked_again(
    tiny_reward_path: Path, thinking: Scripted
) -> None:
    model = loaded(Path(thinking._name))
    steps: list[tuple[int, int]] = []
    [judgement] = model.score([asked(grey(9))], {"max_new_tokens": 4}, lambda *step: steps.append(step)).judgements
    assert (judgement.score, judgement.kind) == (None, "unreadable_reply")
    assert judgement.message == "the reply was cut off within its thought: raise max_new_tokens"
    assert judgement.response
    assert len(steps) == 4
    [judgement] = score(loaded(tiny_reward_path), [asked(grey(9))], {"max_new_tokens": 4}).judgements
    assert judgement.message == "the reply states no score"


def test_only_what_follows_the_thought_is_read(thinking: Scripted) -> None:
    thinking.replies = iter([('Rather a {"score": 3}, no, more.\n</think>\n\n{"score": 8}', False)])
    [judgement] = score(thinking, [asked(grey(9))], {"max_new_tokens": 2}).judgements
    assert (judgement.score, judgement.method) == (8.0, "json")


def test_half_a_thought_is_not_taken_for_an_answer(thinking: Scripted) -> None:
    thinking.replies = iter([('The form is {"score": 3}, so', True)])
    [judgement] = score(thinking, [asked(grey(9))], {"max_new_tokens": 2}).judgements
    assert (judgement.score, judgement.kind) == (None, "unreadable_reply")


def test_a_thought_that_the_model_itself_did_not_end_is_asked_about_again(thinking: Scripted) -> None:
    thinking.replies = iter([("Score: 3, or so", False), ('Well.</think>{"score": 4}', False)])
    [judgement] = score(thinking, [asked(grey(9))], {"max_new_tokens": 2}).judgements
    assert judgement.score == 4.0
    assert judgement.response == "Score: 3, or so" + ASKED_AGAIN + 'Well.</think>{"score": 4}'


def test_an_earlier_thought_is_no_part_of_the_second_question() -> None:
    settings = read_settings({})
    first = first_question(asked(grey(9)), settings)
    for reply, repeated in (("A thought.</think>\n\nNice.", "Nice."), (" Nice.", " Nice.")):
        turns = second_question(first, reply, settings).turns
        assert json.dumps(turns[-2], ensure_ascii=False).count(repeated) == 1
        assert turns[-2]["content"][0]["text"] == repeated
