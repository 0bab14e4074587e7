"""Models that think before they answer: their chat templates end the prompt with the beginning of a thought."""

from __future__ import annotations

import re

THOUGHT, THOUGHT_END = "<think>", "</think>"

LOGITS_NEED_AN_ANSWER = f"logits reads how an answer begins, and answers of this model begin with a thought ({THOUGHT})"
USE_GENERATE = "write `scoring: generate`, with a max_new_tokens that has room for the thought"

_CONDITION = re.compile(r"\{%-?\s*(?:el)?if\b")


def opens_thought(prompt: str) -> bool:
    """Whether a prompt, as the chat template has made it, ends within a thought."""
    return prompt.rstrip().endswith(THOUGHT)


def template_opens_thought(template: str) -> bool | None:
    """Whether the prompts of this chat template (Jinja) end within a thought; None if only filling it in would tell."""
    _, known, beginning_of_answer = template.rpartition("add_generation_prompt")
    if not known or THOUGHT not in beginning_of_answer:
        return False
    if _CONDITION.search(beginning_of_answer):
        return None
    return THOUGHT_END not in beginning_of_answer.rpartition(THOUGHT)[2]
