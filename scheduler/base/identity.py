"""What a result depends on, as one hash: results with the same identity may stand for each other, no others may.

A run resumes by the identities that an earlier version recorded. So everything that enters one is named: the arguments
of these functions, the fields in ``_PROMPT_FIELDS``, the parameters that a model declares. What is added later enters
through ``without_defaults``, and what was recorded before still counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from protocol.messages import Prompt

_PROMPT_FIELDS = frozenset({"aspect", "system", "user"})
"""These enter always. No other may: recorded scores would count no more."""


def edit_identity(
    *, source_sha256: str, instruction: str, parameters: Mapping[str, Any], seed: int, fingerprint: str
) -> str:
    """The identity of an edit.

    ``parameters`` are those that change pixels; one that is added to a model goes through ``without_defaults``.
    ``fingerprint`` is that of the loaded editor.
    """
    return _hash(["edit", source_sha256, instruction, dict(parameters), seed, fingerprint])


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
    ``parameters`` are those that change scores; one that is added to a model goes through ``without_defaults``.
    """
    asked = [_prompt_values(prompt) for prompt in prompts]
    return _hash(["score", image_sha256, source_sha256, asked, combine, dict(parameters), pass_, fingerprint])


def without_defaults(values: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """The values that enter an identity: all but the added ones that are at their default.

    ``added`` has the default of every field or parameter that came after the first recorded identities: the value that
    does what was done before it existed. It must stay, even where the default of a config changes.
    """
    return {name: value for name, value in values.items() if name not in added or value != added[name]}


def _prompt_values(prompt: Prompt) -> dict[str, Any]:
    added = {
        field.encode_name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(prompt)
        if field.name not in _PROMPT_FIELDS and not field.required
    }
    return without_defaults(msgspec.to_builtins(prompt), msgspec.to_builtins(added))


def _hash(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
