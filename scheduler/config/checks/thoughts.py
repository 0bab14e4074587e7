"""Checks that a judge that thinks before it answers is not asked for the first token of its answer."""

from __future__ import annotations

import json
import re

from scheduler.config.checks.model_lookup import model_file
from scheduler.config.models import ModelSection
from workers.models.thoughts import LOGITS_NEED_AN_ANSWER, template_opens_thought

_FILES = ("chat_template.json", "chat_template.jinja", "tokenizer_config.json")
"""Where a chat template may be; the first file that has one counts."""

_OFFICIAL_NAME = re.compile(r"Qwen/Qwen3-VL-\S+-Thinking\b\S*")


def thoughts_refused(section: ModelSection) -> str | None:
    """Why the reward's model can't be scored by ``logits``; None if it can, or if its files do not tell (yet)."""
    name, entry_file = section.params.model_name, section.declaration.entry_file
    scoring = dict(section.params).get("scoring")
    if section.class_path is not None or scoring != "logits" or entry_file is None or name is None:
        return None
    template = _chat_template(name)
    thinks = _OFFICIAL_NAME.fullmatch(name) if template is None else template_opens_thought(template)
    return LOGITS_NEED_AN_ANSWER if thinks else None


def _chat_template(name: str) -> str | None:
    """The chat template of a model in a local folder or in the hub's cache, as text."""
    for file_name in _FILES:
        path = model_file(name, file_name)
        try:
            text = path.read_text(encoding="utf-8") if path is not None else ""
            template = text if file_name.endswith(".jinja") else json.loads(text or "{}").get("chat_template")
        except (OSError, ValueError, AttributeError):
            continue  # loading the model reports what is wrong with it
        if isinstance(template, str) and template:
            return template
    return None
