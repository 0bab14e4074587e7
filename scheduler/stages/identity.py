"""What a result depends on, as one hash: results with the same identity may stand for each other, no others may.

A run resumes by the identities that an earlier version recorded. So everything that enters one is named: the arguments
of these functions, the fields in ``_PROMPT_FIELDS``, the parameters that a model declares. A field or parameter that is
added later enters only where it differs from its default, so what was recorded before it existed still counts. Its
default must never change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from protocol.messages import ImageStep, Prompt, Question, TextPart

_PROMPT_FIELDS = frozenset({"aspect", "system", "user"})
"""These always enter; any other field only where it differs from its default."""


def edit_identity(
    *,
    source_sha256: str,
    instruction: str,
    parameters: Mapping[str, Any],
    seed: int,
    fingerprint: str,
    further_sources: Sequence[str] = (),
) -> str:
    """The identity of an edit.

    ``parameters`` are those that ``edit_identity_parameters`` gives, ``fingerprint`` is that of the loaded editor.
    ``further_sources`` are the hashes of the source images that the editor gets beside the first.
    """
    further = [list(further_sources)] if further_sources else []
    return _hash(["edit", source_sha256, instruction, dict(parameters), seed, fingerprint, *further])


def elsewhere_identity(image_sha256: str) -> str:
    """The identity of an edit that was made elsewhere: nothing is known of it but its bytes."""
    return _hash(["edit made elsewhere", image_sha256])


def score_identity(
    *,
    image_sha256: str,
    source_sha256: str | None,
    prompts: Sequence[Prompt],
    parameters: Mapping[str, Any],
    combine: str | None,
    pass_: int,
    fingerprint: str,
) -> str:
    """The identity of a judgement.

    ``source_sha256`` is None unless the reward sees the source too, ``combine`` unless there are several aspects.
    ``parameters`` are those that ``score_identity_parameters`` gives, ``fingerprint`` is that of the loaded reward.
    """
    asked = [_prompt_values(prompt) for prompt in prompts]
    return _hash(["score", image_sha256, source_sha256, asked, combine, dict(parameters), pass_, fingerprint])


def answer_identity(
    *,
    question: Question,
    images: Mapping[str, str],
    parameters: Mapping[str, Any],
    pass_: int,
    fingerprint: str,
) -> str:
    """The identity of the answer to a question. ``images`` are the hashes of what it shows, by name."""
    return _hash(["answer", _question_values(question), dict(images), dict(parameters), pass_, fingerprint])


def judged_identity(protocol: str, files: Mapping[str, str], table: Any, item: Any, answers: Mapping[str, str]) -> str:
    """The identity of an item's score by a protocol.

    ``files`` are the hashes of the official ones, ``table`` and ``item`` what the protocol knows of data and item, as
    plain values, ``answers`` the identities of the answers by question.
    """
    return _hash(["judged", protocol, dict(files), table, item, dict(answers)])


def _question_values(question: Question) -> list[Any]:
    """All of a question but its name; of an image's step, what differs from the default."""
    parts: list[Any] = [question.system]
    for part in question.parts:
        if isinstance(part, TextPart):
            parts.append(part.text)
            continue
        values = msgspec.to_builtins(part.step)
        usual = msgspec.to_builtins(ImageStep())
        parts.append([part.image, part.detail, {name: value for name, value in values.items() if value != usual[name]}])
    return parts


def _prompt_values(prompt: Prompt) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(prompt)
    for field, default in _later_fields(type(prompt)):
        if getattr(prompt, field.name) == default:
            del values[field.encode_name]
    return values


@cache
def _later_fields(kind: type[Prompt]) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    """Each field that was added later, with its default. Cached: reading the fields takes longer than the hash."""
    return [
        (field, field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())
        for field in msgspec.structs.fields(kind)
        if field.name not in _PROMPT_FIELDS
    ]


def _hash(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
