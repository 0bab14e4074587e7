"""Checks what is asked of a judge that thinks first: not the beginning of an answer, and not too short a one."""

from __future__ import annotations

import json
import re

from scheduler.config.checks.model_lookup import model_file
from scheduler.config.models import ModelSection
from workers.models.thoughts import LOGITS_NEED_AN_ANSWER, template_opens_thought

_FILES = ("chat_template.json", "chat_template.jinja", "tokenizer_config.json")
"""Where a chat template may be; the first file that has one counts."""

_OFFICIAL_NAME = re.compile(r"Qwen/Qwen3-VL-\S+-Thinking\b\S*")
_USUAL_THOUGHT = 2048
"""In tokens."""


def thoughts_refused(section: ModelSection) -> str | None:
    """Why the reward's model can't be scored by ``logits``; None if it can, or if its files do not tell (yet)."""
    return LOGITS_NEED_AN_ANSWER if _scoring(section) == "logits" and _thinks(section) else None


def thoughts_noticed(section: ModelSection) -> str | None:
    """What to tell the user of a model whose thoughts are likely to be longer than its replies may be."""
    limit = dict(section.params).get("max_new_tokens", _USUAL_THOUGHT)
    if _scoring(section) != "generate" or limit >= _USUAL_THOUGHT or not _thinks(section):
        return None
    return (
        f"reward_model.params.max_new_tokens is {limit}, and replies of this model begin with a thought: "
        "one that is cut off within it gives no score"
    )


def _scoring(section: ModelSection) -> object:
    """How a built-in model is to score; None for a simulation or a class of the user's own."""
    built_in = section.class_path is None and section.declaration.entry_file is not None
    return dict(section.params).get("scoring") if built_in else None


def _thinks(section: ModelSection) -> bool:
    name = section.params.model_name or ""
    template = _chat_template(name) if name else None
    return bool(_OFFICIAL_NAME.fullmatch(name) if template is None else template_opens_thought(template))


def _chat_template(name: str) -> str | None:
    """The chat template of a model in a local folder or in the hub's cache, as text."""
    for file_name in _FILES:
        try:
            path = model_file(name, file_name)
            text = path.read_text(encoding="utf-8") if path is not None else ""
            template = text if file_name.endswith(".jinja") else json.loads(text or "{}").get("chat_template")
        except (OSError, ValueError, AttributeError):
            continue  # other checks report what is wrong with the name, loading what is wrong with the file
        if isinstance(template, str) and template:
            return template
    return None
