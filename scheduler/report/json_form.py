"""The report as JSON, and its schema. Both are made from the types of the report."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from scheduler.base.text import encodable
from scheduler.report.model import Report


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the report."""
    return schema_of(Report, "evaluation_report_<stamp>.json of warmbench")


def schema_of(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a type; its docstrings are the descriptions."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **msgspec.json.schema(kind)}
    for definition in schema["$defs"].values():
        definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())
    return schema


def to_json(value: msgspec.Struct) -> bytes:
    """Return a report as UTF-8 JSON, indented by two spaces, with a newline at its end; numbers that are not finite
    become null."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate in a text
        encoded = msgspec.json.encode(plain(msgspec.to_builtins(value)))
    # The standard library's encoder is ten times slower when it indents.
    return msgspec.json.format(encoded, indent=2) + b"\n"


def plain(value: Any) -> Any:
    """Convert a value to what strict JSON can hold: no NaN, no lone surrogates, no integers beyond 64 bits."""
    if isinstance(value, str):
        return encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {encodable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return encodable(str(value))
