"""Requests to the judge in a form in which those of both sides can be compared."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.openai_request import Request

_DEFAULTS = {"stream": False, "n": 1}
"""What a request may say or leave out: it is the API's own default."""


def canonical(request: Request) -> str:
    """Return the body as canonical JSON, images by the hash of their bytes and the media type that is claimed."""
    body = {name: value for name, value in request.body.items() if _DEFAULTS.get(name, ...) != value}
    return json.dumps(_plain(body), ensure_ascii=False, sort_keys=True)


def differing(theirs: Iterable[Request], ours: Iterable[Request]) -> tuple[list[str], list[str]]:
    """Return the requests that only the authors made, and those that only we made."""
    counted = Counter(map(canonical, theirs)), Counter(map(canonical, ours))
    return sorted((counted[0] - counted[1]).elements()), sorted((counted[1] - counted[0]).elements())


def _plain(value: Any) -> Any:
    """The value with images as hashes, and with one way of writing a number: ``0`` and ``0.0`` are the same in JSON."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.startswith("data:"):
        claimed, _, data = value.partition(";base64,")
        return f"{claimed} sha256 {hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()}"
    return value


class Chance:
    """Numbers that the request decides: the same for the same question about the same images, whoever asks."""

    def __init__(self, request: Request) -> None:
        self._digest = hashlib.sha256(canonical(request).encode()).digest()

    def of(self, *salt: object) -> float:
        """From 0 to 1."""
        return int.from_bytes(hashlib.sha256(self._digest + repr(salt).encode()).digest()[:8]) / 2**64

    def whole(self, low: int, high: int, *salt: object) -> int:
        """From ``low`` to ``high``, both included."""
        return low + int(self.of(*salt) * (high - low + 1))

    def choice(self, options: tuple[str, ...], *salt: object) -> str:
        """One of the options."""
        return options[self.whole(0, len(options) - 1, *salt)]
