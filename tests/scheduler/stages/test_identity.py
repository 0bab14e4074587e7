"""Identities that earlier versions recorded stay what they are, whatever is added to prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import field

from protocol.messages import Prompt
from scheduler.stages.identity import edit_identity, elsewhere_identity, score_identity

SHA = "a" * 64


class LaterPrompt(Prompt, frozen=True, kw_only=True):
    """A prompt as a later version may have it."""

    question: str = ""
    dimensions: list[str] = field(default_factory=list, name="dims")
    needs_source: bool | None = None


class RequiringPrompt(Prompt, frozen=True, kw_only=True):
    """A prompt with a new field that has no default."""

    question: str


def of_edit(**parameters: Any) -> str:
    return edit_identity(
        source_sha256=SHA, instruction="Make it red", parameters=parameters, seed=3, fingerprint="model"
    )


def test_further_source_images_enter_the_identity_of_an_edit_in_their_order_and_none_leave_it_as_it_was() -> None:
    def with_further(*further: str) -> str:
        return edit_identity(
            source_sha256=SHA,
            instruction="Make it red",
            parameters={},
            seed=3,
            fingerprint="model",
            further_sources=further,
        )

    assert with_further() == of_edit()
    assert len({with_further(*further) for further in ((), ("b",), ("c",), ("b", "c"), ("c", "b"))}) == 5


def of_score(prompts: Sequence[Prompt], **parameters: Any) -> str:
    return score_identity(
        image_sha256=SHA,
        source_sha256=None,
        prompts=prompts,
        parameters=parameters,
        combine=None,
        pass_=1,
        fingerprint="model",
    )


def test_identities_have_the_values_that_were_recorded_with_the_first_versions() -> None:
    assert of_edit(num_inference_steps=8, height=None) == (
        "fcbbe48334f2d2c7a5aa5e33b257f9e35b749c4def774d22f25d05ca835c73be"
    )
    assert elsewhere_identity(SHA) == "339a71fb32bed196a12c280cd5cd1defc8bfda3a2f406e8f7cbb7564876ff326"
    prompts = [Prompt(system="Judge", user="Is it 红?"), Prompt(aspect="style", system="Judge", user="And the style?")]
    assert of_score(prompts, scoring="generate", score_range=[0, 10]) == (
        "dea04561809fe347eee58eddc920240200a67f2c0f0932406522a3482f2d552b"
    )


def test_a_field_added_to_prompts_enters_only_where_it_differs_from_its_default() -> None:
    before = of_score([Prompt(system="Judge", user="Is it red?")])
    assert of_score([LaterPrompt(system="Judge", user="Is it red?")]) == before
    changed = [
        LaterPrompt(system="Judge", user="Is it red?", question="colour"),
        LaterPrompt(system="Judge", user="Is it red?", dimensions=["colour"]),
        LaterPrompt(system="Judge", user="Is it red?", needs_source=False),
    ]
    assert len({before, *(of_score([prompt]) for prompt in changed)}) == 4


def test_a_field_added_without_a_default_always_enters() -> None:
    before = of_score([Prompt(system="Judge", user="Is it red?")])
    asked = [RequiringPrompt(system="Judge", user="Is it red?", question=text) for text in ("", "colour")]
    assert len({before, *(of_score([prompt]) for prompt in asked)}) == 3
