"""How JSON schemas are recorded and checked in tests."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator


def closed(part: Any) -> Any:
    """The schema, but such that it allows no key that it does not describe."""
    if isinstance(part, list):
        return [closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    result = {name: closed(item) for name, item in part.items()}
    if part.get("type") == "object" and "properties" in part:
        result.setdefault("additionalProperties", False)
    return result


def lines(value: Any, indent: str = "") -> str:
    """JSON with a line for each value that is short, and for each list of names."""
    line = json.dumps(value)
    if isinstance(value, list) or not isinstance(value, dict) or len(indent + line) < 110:
        return line
    inner = ",\n".join(f"{indent} {json.dumps(name)}: {lines(part, indent + ' ')}" for name, part in value.items())
    return f"{{\n{inner}\n{indent}}}"


def schema_errors(value: Any, schema: dict[str, Any]) -> list[str]:
    """What is not as the schema says, and keys that it does not describe."""
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(closed(schema)).iter_errors(value)]
