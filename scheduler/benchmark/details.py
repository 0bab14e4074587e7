"""Checks what only some benchmarks have of an item, and opens its further images."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from protocol.messages.to_worker import MAX_IMAGES
from scheduler.benchmark.formats.declaration import Item
from scheduler.benchmark.names import checked_text, shown
from scheduler.benchmark.pairs import NO_DETAILS, Details, PairError, SourceImage

MAX_FACTS = 1_000_000
"""The longest facts of an item, in characters of JSON."""

_IMAGE_NAME = re.compile(r"source_([2-9]|[1-9][0-9])|reference(_([2-9]|[1-9][0-9]))?|ground_truth|mask")
_MAX_DEPTH = 20
_MAX_INTEGER = 2**63


def opened_details(item: Item, language: str | None, *, thorough: bool) -> Details:
    """Check the item's details, and open its further images; raises ``PairError``.

    ``language`` is that of the instruction that was chosen.
    """
    if len(item.images) >= MAX_IMAGES:
        raise PairError("bad_field", f"the item has {len(item.images) + 1} images; at most {MAX_IMAGES} are accepted")
    images: dict[str, SourceImage] = {}
    for name, open_image in item.images.items():
        if not _IMAGE_NAME.fullmatch(name):
            raise ValueError(f"an item's image has the name {name!r}; see Details for the names")
        try:
            images[name] = open_image(thorough=thorough)
        except PairError as error:
            raise PairError(error.kind, f"{name}: {error.message}") from error
    details = Details(
        images=images,
        language=checked_text(language, "language"),
        task=checked_text(item.task, "task"),
        subsets=item.subsets,
        facts=checked_facts(item.facts),
    )
    return NO_DETAILS if details == NO_DETAILS else details


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts as JSON gives them back: NaN becomes null. Raises ``PairError`` (``bad_field``) for what JSON
    cannot hold.
    """
    result = {}
    for name, value in facts.items():
        what = shown(name) if isinstance(name, str) else repr(name)
        checked_text(name, f"the name of the field {what}")
        result[name] = _plain(value, what, 0)
    size = len(json.dumps(result)) if result else 0
    if size > MAX_FACTS:
        raise PairError("bad_field", f"the item's fields have {size} characters; at most {MAX_FACTS} are accepted")
    return result


def kind_of(value: Any) -> str:
    """Return the kind of a fact as the file has it: NaN is not yet null there."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "nan" if value != value else "number"  # noqa: PLR0124 - NaN alone differs from itself
    return "text" if isinstance(value, str) else "other"


def _plain(value: Any, what: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise PairError("bad_field", f"{what} holds values nested more than {_MAX_DEPTH} deep")
    if isinstance(value, PairError):
        raise value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return checked_text(value, what)
    if isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else float(value)
    if isinstance(value, list | tuple):
        return [_plain(entry, what, depth + 1) for entry in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {checked_text(key, what): _plain(entry, what, depth + 1) for key, entry in value.items()}
    if isinstance(value, int | float):
        raise PairError("bad_field", f"{what} is a number that is too large")
    raise PairError("bad_field", f"{what} is of the type {type(value).__name__}; expected a value of JSON")
