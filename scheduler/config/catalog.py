"""Every section with every key: for hints, for the reference, and for the test of the template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import annotated_types
from msgspec import Struct
from pydantic.fields import FieldInfo

from scheduler.config.models import FAMILIES
from scheduler.config.pool_section import PoolSection, pool_section
from scheduler.config.prompts import CategoryEntry
from scheduler.config.sections import BenchmarkSection, EvaluationSection, LoggingSection, SchedulerSection
from scheduler.config.tracker_section import TrackersSection, trackers_section
from scheduler.config.values import Section

PLAIN_SECTIONS: dict[str, type[Section]] = {
    "benchmark": BenchmarkSection,
    "prompts": CategoryEntry,
    "evaluation": EvaluationSection,
    "logging": LoggingSection,
    "pool": PoolSection,
    "scheduler": SchedulerSection,
    "trackers": TrackersSection,
}
"""The keys of ``prompts`` are categories, each a ``CategoryEntry``."""

_FAMILIES = {family.section: family for family in FAMILIES.values()}
SECTIONS = ("benchmark", *_FAMILIES, *list(PLAIN_SECTIONS)[1:])
"""In the order in which a config has them."""

PER_CATEGORY = "<category>"
PER_ASPECT = "<aspect>"


class KeyPlace(Struct, frozen=True):
    """A key of the config: its dotted path, its field, and the section that has it: one for each ``type``."""

    path: str
    name: str
    field: FieldInfo
    owner: type[Section]


def classes(section: str, *, builtin: bool = False) -> tuple[type[Section], ...]:
    """The classes that a section may have: one for each type, the last for a class of the user's own."""
    family = _FAMILIES.get(section)
    if section == "pool":
        return (pool_section(builtin=builtin),)
    if section == "trackers":
        return (trackers_section(builtin=builtin),)
    if family is None:
        return (PLAIN_SECTIONS[section],)
    return (*family.types(builtin=builtin).values(), family.own())


def all_keys(*, builtin: bool = False) -> Iterator[KeyPlace]:
    """Every key of every section and type, with ``builtin`` without the types of packages.

    A key that several types share comes once for each.
    """
    for section in SECTIONS:
        prefix = f"{section}.{PER_CATEGORY}" if section == "prompts" else section
        for kind in classes(section, builtin=builtin):
            yield from _keys(prefix, kind, kind)


def _keys(prefix: str, kind: type[Section], owner: type[Section]) -> Iterator[KeyPlace]:
    for name, field in kind.model_fields.items():
        path = f"{prefix}.{name}"
        yield KeyPlace(path, name, field, owner)
        if below := nested_section(field.annotation):
            yield from _keys(f"{path}.{PER_ASPECT}" if name == "aspects" else path, below, owner)


def nested_section(annotation: Any) -> type[Section] | None:
    """The section that a field of this type holds, or holds several of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((section for part in get_args(annotation) if (section := nested_section(part))), None)


def type_name(kind: type[Section]) -> str:
    """The ``type`` that chooses a section's class, or ``class_path``."""
    field = kind.model_fields.get("type")
    return str(field.default) if field is not None and field.default else "class_path"


def hint_for_key(name: str, section: str, path: str) -> str | None:
    """Where a key that is unknown at ``path`` (of ``section``) exists, if it does."""
    places = [key for key in all_keys() if key.name == name]
    if here := [key for key in places if key.path == f"{path}.{name}"]:
        return f"`{name}` belongs to type {' and '.join(dict.fromkeys(type_name(key.owner) for key in here))}"
    parents = list(dict.fromkeys(key.path.rpartition(".")[0] for key in places))
    chosen = ([parent for parent in parents if parent.split(".")[0] == section] or parents)[:2]
    return f"`{name}` is a key of `{'` and `'.join(chosen)}`" if chosen else None


def bounds(field: FieldInfo) -> tuple[str | None, str | None]:
    """The lowest and highest value of a numeric field, as text: ``("1", "256")``, ``("above 0", "below 1")``."""
    low: str | None = None
    high: str | None = None
    for rule in (*field.metadata, *_rules(field.annotation)):
        if isinstance(rule, annotated_types.Ge):
            low = f"{rule.ge:g}" if isinstance(rule.ge, float) else str(rule.ge)
        elif isinstance(rule, annotated_types.Gt):
            low = f"above {rule.gt}"
        elif isinstance(rule, annotated_types.Le):
            high = f"{rule.le:g}" if isinstance(rule.le, float) else str(rule.le)
        elif isinstance(rule, annotated_types.Lt):
            high = f"below {rule.lt}"
    return low, high


def _rules(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for rule in annotation.__metadata__:
            yield from rule.metadata if isinstance(rule, FieldInfo) else (rule,)
    elif get_origin(annotation) is not tuple:
        for part in get_args(annotation):
            yield from _rules(part)
