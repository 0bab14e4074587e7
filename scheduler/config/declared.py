"""From the keys that a model declares to a section that checks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, create_model

from scheduler.config.problems import printable, shown
from scheduler.config.values import Allowed, DeviceIds, FilePath, Section, device_name, plain_problem
from workers.models.declaration import Conflict, Key, Rule, is_range


class DeclaredSection(Section):
    """A mapping whose keys are declared."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def conflicts(self) -> Iterator[Conflict]:
        for rule in self.rules:
            try:
                yield from rule(dict(self))
            except Exception as error:  # noqa: BLE001 - a package may declare anything
                reason = printable(f"{type(error).__name__}: {error}", 300)
                yield Conflict((), f"a rule of {type(self).__name__} failed: {reason}")


DeclaredT = TypeVar("DeclaredT", bound=DeclaredSection)


def section_of(
    base: type[DeclaredT], name: str, keys: Sequence[Key], rules: Sequence[Rule] = (), *, free: bool = False
) -> type[DeclaredT]:
    """A section with a field for each key; with ``free`` it takes further keys of any name.

    Raises:
        ValueError: a key has a name that no key can have, or a default that it does not allow.
    """
    if taken := [key.name for key in keys if hasattr(base, key.name)]:
        raise ValueError(f"{', '.join(taken)} can't be the name of a key")
    fields: dict[str, Any] = {key.name: _field(key, name) for key in keys}
    section = create_model(name, __base__=base, __cls_kwargs__={"extra": "allow"} if free else {}, **fields)
    section.rules = tuple(rules)
    section.model_validate({key.name: key.default for key in keys if key.default is not None})
    return section


def _field(key: Key, owner: str) -> tuple[Any, Any]:
    """The type of a field, and how it is filled in."""
    if key.kind == "mapping":
        kind = section_of(DeclaredSection, f"{owner}.{key.name}", key.keys, key.rules) if key.keys else dict
        annotation = kind if key.keys else _type(key)
        if key.sets:
            annotation = Annotated[annotation, BeforeValidator(partial(_named_set, key))]
        return annotation, Field(default_factory=kind, description=key.meaning)
    annotation = _list(key, owner) if key.kind == "list" else _type(key)
    optional = key.default is None or key.optional
    return annotation | None if optional else annotation, Field(default=key.default, description=key.meaning)


def _named_set(key: Key, value: object) -> object:
    if not isinstance(value, str):
        return value
    if value in key.sets:
        return dict(key.sets[value])
    names = ", ".join(key.sets)
    raise ValueError(f"must be a mapping, or one of {names}, found {shown(value)}")


def _type(key: Key) -> Any:
    return _ALIKE[key.kind] if key.kind in _ALIKE else _BY_KEY[key.kind](key)


def _number(kind: type[int] | type[float], key: Key) -> Any:
    if key.exclusive:
        return Annotated[kind, Field(gt=key.low, lt=key.high)]
    return Annotated[kind, Field(ge=key.low, le=key.high)]


def _text(key: Key) -> Any:
    if key.wanted:
        return _plain(str, partial(_secret_text, key), "text")
    shortest, longest = (None if bound is None else int(bound) for bound in (key.low, key.high))
    return Annotated[str, Field(min_length=shortest, max_length=longest, pattern=key.pattern)]


def _list(key: Key, owner: str = "") -> Any:
    shortest, longest = (None if bound is None else int(bound) for bound in (key.low, key.high))
    if key.item == "mapping" and key.keys:
        item: Any = section_of(DeclaredSection, f"{owner}.{key.name}", key.keys, key.rules)
    else:
        item = _type(Key(key.name, key.item, choices=key.choices, pattern=key.pattern))
    return Annotated[tuple[item, ...], Field(strict=False, min_length=shortest, max_length=longest)]


def _device(key: Key) -> Any:
    words = ", ".join(f"`{name}`" for name in (*key.choices[:-1], "cuda:N", key.choices[-1]))
    return _plain(str, partial(device_name, key.choices), words)


def _fixed(key: Key, value: object) -> object:
    if type(value) is type(key.default) and value == key.default:
        return value
    raise ValueError(f"must be {shown(key.default)}: {key.because}, found {shown(value)}")


def _secret_text(key: Key, value: object) -> str:
    if isinstance(value, str) and re.fullmatch(key.pattern or ".*", value) and len(value) <= (key.high or len(value)):
        return value
    raise ValueError(f"must be {key.wanted}; what was found is not shown, as it may be a secret")


def _range(value: Any) -> tuple[float, float]:
    if is_range(value):
        return value[0], value[1]
    raise ValueError(f"must be two numbers, the lower one first, such as [0, 10], found {shown(value)}")


def _chance(value: object) -> float | tuple[str, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) and "/" in item for item in value):
        return tuple(value)
    raise ValueError(f"must be a probability (0 to 1) or a list of pair keys (category/pair_id), found {shown(value)}")


def _conda_env(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^\s/:#\0-\x1f]{1,200}", value) and value not in {".", ".."}:
        return value
    raise ValueError(
        f"must be the name of a conda environment, found {shown(value)}; give a folder's python as `python`"
    )


def _free_mapping(value: object) -> dict[str, Any]:
    if isinstance(value, dict) and (problem := plain_problem(value)) is None:
        return value
    raise ValueError(problem if isinstance(value, dict) else f"must be a mapping, found {shown(value)}")


def _plain(kind: Any, validator: Callable[..., Any], words: str) -> Any:
    return Annotated[kind, PlainValidator(validator), Allowed(words)]


_ALIKE: Mapping[str, Any] = {
    "bool": bool,
    "path": FilePath,
    "mapping": _plain(dict[str, Any], _free_mapping, "mapping"),
    "range": _plain(tuple[float, float], _range, "two numbers, the lower one first"),
    "chance": _plain(float | tuple[str, ...], _chance, "probability from 0 to 1, or list of `category/pair_id`"),
    "hub_file": Annotated[str, Field(min_length=1, max_length=4096)],
    "devices": DeviceIds,
    "environment": _plain(str, _conda_env, "name"),
}
"""The types of the kinds that are the same for every key."""

_BY_KEY: Mapping[str, Callable[[Key], Any]] = {
    "int": partial(_number, int),
    "float": partial(_number, float),
    "text": _text,
    "list": _list,
    "choice": lambda key: Literal[key.choices],
    "fixed": lambda key: _plain(object, partial(_fixed, key), f"`{shown(key.default)}`"),
    "device": _device,
}
