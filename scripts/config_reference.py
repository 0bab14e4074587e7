"""Writes ``docs/config-reference.md`` from the definitions of the config.

Usage: ``python -m scripts.config_reference [--check]``. With ``--check`` nothing is written; exit code 1 says that the
file is out of date.
"""

from __future__ import annotations

import argparse
import json
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from scheduler.config.catalog import (
    SECTIONS,
    KeyPlace,
    all_keys,
    bounds,
    classes,
    type_name,
)
from scheduler.config.models import FAMILIES
from scheduler.config.values import Allowed, Section

FILE = Path(__file__).resolve().parents[1] / "docs" / "config-reference.md"

_FAMILIES = {family.section: family for family in FAMILIES.values()}
_NONE = "-"
_HEAD = """\
# Every key of a config

`python -m scripts.config_reference` writes this page from the definitions in the code.
[configuration.md](configuration.md) explains the sections; `configs/template.yaml` is a file to copy from.

A heading is the path of a mapping. The default `-` means no value. The column *for* has the values of `type` that have
the key, if not all do; a `class_path` may have further keys. `identity` and `simulated` accept all keys of
`qwen_image_edit` or `qwen3_vl` and ignore those that do not apply; `simulated` has [more](#params-of-simulated-models).
"""
_SIMULATED = "simulated"


def reference() -> str:
    """The whole page."""
    parts = [_HEAD]
    simulated: dict[str, list[_Row]] = {}
    for section in SECTIONS:
        keys = [key for key in all_keys(builtin=True) if key.path.split(".")[0] == section]
        every = [type_name(kind) for kind in classes(section, builtin=True)]
        top = keys[0].path.rpartition(".")[0]
        for parent in dict.fromkeys(key.path.rpartition(".")[0] for key in keys):
            rows = list(_rows(section, [key for key in keys if key.path.rpartition(".")[0] == parent]))
            alone = [replace(row, owners=(section,)) for row in rows if row.owners == (_SIMULATED,)]
            simulated.setdefault(parent.removeprefix(f"{section}."), []).extend(alone)
            heading = f"## `{parent}`\n\n{classes(section)[0].purpose}" if parent == top else f"### `{parent}`"
            if len(rows) > len(alone):
                parts.append(f"{heading}\n\n{_table([row for row in rows if row.owners != (_SIMULATED,)], every)}")
    for parent, rows in simulated.items():
        if rows:
            level = "###" if "." in parent else "##"
            parts.append(f"{level} `{parent}` of simulated models\n\n{_table(_merged(rows), list(_FAMILIES))}")
    return "\n".join(parts)


def _merged(rows: Iterable[_Row]) -> list[_Row]:
    """Rows that differ only in their owners become one."""
    merged: dict[_Row, _Row] = {}
    for row in rows:
        key = replace(row, owners=())
        merged[key] = replace(row, owners=(*(merged[key].owners if key in merged else ()), *row.owners))
    names = [row.name for row in merged]
    return sorted(merged.values(), key=lambda row: names.index(row.name))


@dataclass(frozen=True)
class _Row:
    name: str
    owners: tuple[str, ...]
    value: str
    default: str
    meaning: str


def _rows(section: str, keys: Sequence[KeyPlace]) -> Iterator[_Row]:
    """One row for each key, and more if types differ in value, default or meaning."""
    owners_of: dict[tuple[str, ...], list[str]] = {}
    order = {name: place for place, name in enumerate(dict.fromkeys(key.name for key in keys))}
    for key in keys:
        shown = _type_key(section) if key.name == "type" else _plain_key(key)
        if key.name == "class_path" and type_name(key.owner) != "class_path":
            continue  # beside a built-in type there is none
        owners_of.setdefault((key.name, *shown), []).append(type_name(key.owner))
    for (name, value, default, meaning), owners in sorted(owners_of.items(), key=lambda item: order[item[0][0]]):
        yield _Row(name, tuple(owners), value, default, meaning)


def _type_key(section: str) -> tuple[str, str, str]:
    family = _FAMILIES[section]
    types = family.types(builtin=True)
    meanings = [f"`{name}`: {kind.model_fields['type'].description}" for name, kind in types.items()]
    return _words(types), f"`{family.default}`", "<br>".join(meanings)


def _plain_key(key: KeyPlace) -> tuple[str, str, str]:
    if key.name == "class_path":
        return "`package.module.Class`", _NONE, f"Instead of `type`. {key.field.description}"
    return _value(key.field), _default(key.field), key.field.description or ""


def _table(rows: Sequence[_Row], every: Sequence[str]) -> str:
    distinct = any(set(row.owners) != set(every) for row in rows if row.name not in ("type", "class_path"))
    head = ["key", *(["for"] if distinct else []), "value", "default", "meaning"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        owners = "" if row.name in ("type", "class_path") or set(row.owners) == set(every) else _words(row.owners)
        lines.append(_line([f"`{row.name}`", *([owners] if distinct else []), row.value, row.default, row.meaning]))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return _NONE
    if isinstance(value, Section):
        return "see below"
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`" if value != " " else '`" "`, a blank'


def _value(field: FieldInfo) -> str:
    """The values that are allowed: in the words of the type, or by its annotation and bounds."""
    words = _in_words(field.annotation, field.metadata)
    low, high = bounds(field)
    if words not in ("whole number", "number") or low is None:
        return words
    if high is None:
        return f"{words}, {low} or more"
    return f"{words}, {low} to {high}" if low[0].isdigit() and high[0].isdigit() else f"{words}, {low} and {high}"


def _in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    if allowed := next((rule.words for rule in metadata if isinstance(rule, Allowed)), None):
        return allowed
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(arguments[0], annotation.__metadata__)
    if origin in (types.UnionType, Union):
        return " or ".join(_in_words(part) for part in arguments if part is not type(None))
    if origin is Literal:
        return _words(arguments)
    if origin is tuple:
        return f"list of {_in_words(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "mapping"
    return _PLAIN[annotation]


_PLAIN: dict[Any, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or with ``--check`` report whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.config_reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
    options = parser.parse_args(arguments)
    wanted = reference()
    if options.check:
        current = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
        print("up to date" if current == wanted else "out of date: run python -m scripts.config_reference")
        return 0 if current == wanted else 1
    FILE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
