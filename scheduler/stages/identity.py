"""What a result depends on, as one hash: results with the same identity may stand for each other, no others may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from protocol.messages import Prompt


def edit_identity(
    *, source_sha256: str, instruction: str, parameters: Mapping[str, Any], seed: int, fingerprint: str
) -> str:
    """The identity of an edit. ``fingerprint`` is that of the loaded editor."""
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
    """
    asked = msgspec.to_builtins(list(prompts))
    return _hash(["score", image_sha256, source_sha256, asked, combine, dict(parameters), pass_, fingerprint])


def _hash(what: list[Any]) -> str:
    text = json.dumps(what, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
