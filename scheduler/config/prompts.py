"""The section ``prompts``: what the reward is asked about an edit, per category.

A category has the first of: the entry of its name in the config; the built-in entry of its name (there are some for
five Chinese categories); the config's ``default``; the built-in ``default``. All of them are part of a loaded config,
so a resolved config shows every prompt that its run can use.

In a template ``{original_description}`` and ``{edit_instruction}`` are filled in, ``{{`` and ``}}`` stand for one
literal brace (a prompt that shows JSON needs them), and any other brace is an error. Values are not searched again: a
description with ``{edit_instruction}`` stays as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field

from protocol.messages import Prompt
from scheduler.config.reading.yaml_source import read_source
from scheduler.config.values import CategoryName, Section
from workers.models.declaration import Conflict

DEFAULT = "default"
BUILTIN_SCALE = (0, 10)
PLACEHOLDERS = ("original_description", "edit_instruction")
Combine = Literal["mean", "min", "geometric_mean"]

_BRACES = re.compile(r"\{\{|\}\}|\{(?:" + "|".join(PLACEHOLDERS) + r")\}|[{}]")


def _checked_template(text: str) -> str:
    bad = [match for match in _BRACES.finditer(text) if match.group() in "{}"]
    if bad:
        start = bad[0].start()
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        near = re.split(r"[\n\r]", text[start : start + 30])[0]
        raise ValueError(
            f"has a stray brace in line {line}, column {column} of its text, at '{near}'{more}: only "
            "{original_description} and {edit_instruction} are filled in, a literal brace is written {{ or }}"
        )
    return text


Template = Annotated[str, Field(max_length=500_000), AfterValidator(_checked_template)]


class AspectEntry(Section):
    """One question about an edit."""

    purpose: ClassVar[str] = "One of several questions about an edit, each scored by itself."

    system_prompt: Template | None = Field(None, description="The system message; may be an empty text.")
    user_prompt_template: Template | None = Field(None, description="The user's message, beside the image.")

    def conflicts(self) -> Iterator[Conflict]:
        if self.system_prompt is None:
            yield Conflict((("system_prompt",), ("aspects",)), "is missing", 'write "" for none')
        if not self.user_prompt_template:
            message = "is missing" if self.user_prompt_template is None else "is empty"
            yield Conflict((("user_prompt_template",), ("aspects",)), message)


class CategoryEntry(AspectEntry):
    """What is asked about the edits of one category: one question, or several aspects."""

    purpose: ClassVar[str] = (
        "What the reward is asked about the edits of this category. The one called `default` is for all categories "
        "that have no entry of their own and no built-in one."
    )

    aspects: Annotated[dict[CategoryName, AspectEntry], Field(min_length=1, max_length=32)] | None = Field(
        None, description="Several questions instead of one: name to the same two keys."
    )
    combine: Combine = Field("mean", description="How the aspects' scores become one: mean, min or geometric_mean.")

    def conflicts(self) -> Iterator[Conflict]:
        if self.aspects is None:
            yield from super().conflicts()
            if self.combine != "mean":
                message = "is given without `aspects`"
                yield Conflict((("combine",), ("aspects",)), message, "there is nothing to combine")
            return
        for name in ("system_prompt", "user_prompt_template"):
            if getattr(self, name) is not None:
                message, hint = "is given beside `aspects`", "move it into an aspect, or remove it"
                yield Conflict(((name,), ("aspects",)), message, hint)


class PromptTemplate(Struct, frozen=True):
    """One question; ``aspect`` is empty where it is the only one."""

    aspect: str
    system: str
    user: str

    def render(self, description: str | None, instruction: str) -> Prompt:
        """Fill in a pair's description (an empty text if it has none) and instruction."""
        values = {"{original_description}": description or "", "{edit_instruction}": instruction}
        return Prompt(aspect=self.aspect, system=_fill(self.system, values), user=_fill(self.user, values))


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _BRACES.sub(lambda match: values.get(match.group(), match.group()[0]), template)


class CategoryPrompts(Struct, frozen=True):
    """The questions about one category's edits, and how their scores become one."""

    templates: tuple[PromptTemplate, ...]
    combine: Combine


class Prompts(Struct, frozen=True):
    """All prompts of a config, with the built-in ones filled in; there is always a ``default``."""

    entries: Mapping[str, CategoryEntry]

    def for_category(self, name: str) -> CategoryPrompts:
        """The prompts of a category: its own, else the default ones."""
        entry = self.entries.get(name) or self.entries[DEFAULT]
        if entry.aspects is None:
            parts = [("", entry.system_prompt, entry.user_prompt_template)]
        else:
            parts = [(key, part.system_prompt, part.user_prompt_template) for key, part in entry.aspects.items()]
        return CategoryPrompts(
            tuple(PromptTemplate(aspect, system or "", user or "") for aspect, system, user in parts), entry.combine
        )

    def as_plain(self) -> dict[str, Any]:
        """As the section is written."""
        return {name: entry.model_dump(mode="json", exclude_none=True) for name, entry in self.entries.items()}


def with_builtin(own: Mapping[str, CategoryEntry]) -> Prompts:
    """A config's own entries, and the built-in ones for what it does not name."""
    return Prompts({**own, **{name: entry for name, entry in builtin_entries().items() if name not in own}})


@functools.cache
def builtin_entries() -> Mapping[str, CategoryEntry]:
    """The prompts that come with warmbench: the five Chinese categories and ``default``."""
    source = read_source(Path(__file__).with_name("builtin_prompts.yaml"))
    return {name: CategoryEntry.model_validate(entry) for name, entry in source.data.items()}
