"""Makes values of a struct's type: random ones, one full sample, and every way to get one field wrong.

All is derived from the types themselves, so that a new message or field is tested without a line written here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, get_args

import msgpack
from hypothesis import strategies as st
from msgspec import NODEFAULT, inspect

from protocol.keys import Key

_SHA256 = "^[0-9a-f]{64}\\Z"
_WORKER_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\\Z"
_Z85 = get_args(Key)[1].pattern
_SAMPLES = {None: "text", _SHA256: "0123456789abcdef" * 4, _WORKER_ID: "editor-0", _Z85: "k" * 40}
_OF_PATTERN = {_SHA256: "[0-9a-f]{64}", _WORKER_ID: "[A-Za-z0-9][A-Za-z0-9_-]{0,63}", _Z85: r"[0-9a-z.:+=^$#-]{40}"}
_BREAKS_PATTERN = {
    _SHA256: ["", "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", "\n" + "a" * 64],
    _Z85: ["", "k" * 39, "k" * 41, "k" * 39 + "\n", "k" * 39 + '"', "k" * 39 + " "],
    _WORKER_ID: ["", "-x", ".", "..", "a/b", "../a", "a\n", "a" * 65, "\u00e9"],
}
NOT_JSON = [
    b"bytes",
    math.nan,
    math.inf,
    -math.inf,
    msgpack.Timestamp(1, 2),
    msgpack.ExtType(5, b"x"),
    {1: 2},
    {b"k": 1},
]

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""Values for a message's free fields: those of JSON."""


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Random values of a type; structs are instances."""
    match kind:
        case inspect.StructType():
            return st.builds(kind.cls, **{field.name: values_of(field.type) for field in kind.fields})
        case inspect.UnionType():
            return st.one_of([values_of(member) for member in kind.types])
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.StrType(pattern=str() as pattern):
            return st.from_regex(_OF_PATTERN[pattern], fullmatch=True)
        case inspect.StrType():
            return st.text(min_size=kind.min_length or 0, max_size=12)
        case inspect.IntType():
            return st.integers(-(2**63) if kind.ge is None else kind.ge, 2**64 - 1 if kind.le is None else kind.le)
        case inspect.FloatType():
            low = kind.gt if kind.ge is None else kind.ge
            return st.floats(low, kind.le, allow_nan=False, allow_infinity=False, exclude_min=kind.gt is not None)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.ListType():
            most = min(3, kind.max_length or 3)
            return st.lists(values_of(kind.item_type), min_size=kind.min_length or 0, max_size=most)
        case inspect.DictType():
            return st.dictionaries(values_of(kind.key_type), values_of(kind.value_type), max_size=3)
        case inspect.AnyType():
            return plain_values
    raise AssertionError(f"no values for {kind}: teach this function the new type")


def sample(kind: inspect.Type) -> Any:
    """One value as on the wire, with every field set and an entry in every list."""
    match kind:
        case inspect.StructType():
            tag = {kind.tag_field: kind.tag} if kind.tag_field else {}
            return tag | {field.encode_name: sample(field.type) for field in kind.fields}
        case inspect.UnionType():
            return sample(next(member for member in kind.types if not isinstance(member, inspect.NoneType)))
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.StrType():
            return _SAMPLES[kind.pattern]
        case inspect.IntType() | inspect.FloatType():
            return 1 if isinstance(kind, inspect.IntType) else 1.5
        case inspect.BoolType():
            return True
        case inspect.ListType():
            return [sample(kind.item_type)]
        case inspect.DictType():
            return {"name": sample(kind.value_type)}
        case inspect.AnyType():
            return {"of any": ["kind", 1]}
    raise AssertionError(f"no sample of {kind}: teach this function the new type")


def mutants(kind: inspect.StructType) -> Iterator[tuple[str, Any]]:
    """Every wrong form of the struct's sample that differs in one place, with a description."""
    yield from _mutants(kind, sample(kind), "")


def _mutants(kind: inspect.Type, good: Any, path: str) -> Iterator[tuple[str, Any]]:
    for bad in _wrong(kind):
        yield f"{path}: {bad!r}"[:120], bad
    match kind:
        case inspect.StructType():
            yield f"{path}: a field too many", good | {"no_such_field": 1}
            if kind.tag_field:
                yield f"{path}: no tag", {key: good[key] for key in good if key != kind.tag_field}
                yield f"{path}: unknown tag", good | {kind.tag_field: "NoSuchMessage"}
                yield f"{path}: a list for a tag", good | {kind.tag_field: [kind.tag]}
            for field in kind.fields:
                name = field.encode_name
                if field.default is NODEFAULT and field.default_factory is NODEFAULT:
                    yield f"{path}.{name}: missing", {key: good[key] for key in good if key != name}
                for what, bad in _mutants(field.type, good[name], f"{path}.{name}"):
                    yield what, good | {name: bad}
        case inspect.UnionType():
            inner = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
            yield from (mutant for mutant in _mutants(inner, good, path) if mutant[1] is not None)
        case inspect.ListType():
            for what, bad in _mutants(kind.item_type, good[0], f"{path}[0]"):
                yield what, [bad]
        case inspect.DictType():
            for what, bad in _mutants(kind.value_type, good["name"], f"{path}[name]"):
                yield what, {"name": bad}


def _wrong(kind: inspect.Type) -> list[Any]:
    """Values that do not belong to the type or, for a union, to any of its members."""
    match kind:
        case inspect.StructType():
            empty: list[Any] = [{}] if any(field.required for field in kind.fields) else []
            return [None, [], "text", 5, *empty]
        case inspect.LiteralType():
            return [None, "none of these", "", 0, [kind.values[0]]]
        case inspect.StrType():
            return [None, 5, 1.5, True, [], {}, b"text", *_wrong_texts(kind)]
        case inspect.IntType():
            beyond = [bound for bound in (_below(kind), _above(kind)) if bound is not None]
            return [None, "1", True, 1.5, math.nan, [], {}, *beyond]
        case inspect.FloatType():
            beyond = [bound for bound in (_below(kind), _above(kind), kind.gt) if bound is not None]
            return [None, "1.5", True, math.nan, math.inf, -math.inf, [], {}, *beyond]
        case inspect.BoolType():
            return [None, 0, 1, "true", [], {}]
        case inspect.ListType():
            item = sample(kind.item_type)
            short: list[Any] = [[]] if kind.min_length else []
            long = [[copy.deepcopy(item)] * (kind.max_length + 1)] if kind.max_length else []
            return [None, {}, "text", 5, *short, *long]
        case inspect.DictType():
            return [None, [], "text", 5, {1: 2}, {b"key": 1}]
        case inspect.AnyType():
            return NOT_JSON
    return []


def _wrong_texts(kind: inspect.StrType) -> list[str]:
    wrong = list(_BREAKS_PATTERN.get(kind.pattern or "", []))
    if kind.min_length:
        wrong.append("")
    if kind.max_length:
        wrong.append("x" * (kind.max_length + 1))
    return wrong


def _below(kind: inspect.IntType | inspect.FloatType) -> float | None:
    return None if kind.ge is None else kind.ge - 1


def _above(kind: inspect.IntType | inspect.FloatType) -> float | None:
    return None if kind.le is None else kind.le + max(1, kind.le // 2**50)
