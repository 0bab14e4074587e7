"""Chooses the class of a model's section: by its ``type``, or by the ``class_path`` of the user's own model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from msgspec import Struct

from scheduler.config.catalog import all_keys, type_name
from scheduler.config.checks.model_lookup import is_local
from scheduler.config.models import Family, ModelSectionT
from scheduler.config.problems import Location, dotted, listing, nearest, shown
from scheduler.config.reading.yaml_source import YamlSource
from scheduler.config.validation import Findings
from workers.models.plugins import PluginError

_OLD_SYSTEM = "src.models."


class Choice(Struct, Generic[ModelSectionT], frozen=True):
    """The class of a section and what it is to be made of. ``foreign`` keys can't be judged: the type is unknown."""

    kind: type[ModelSectionT]
    raw: dict[str, Any]
    notices: tuple[str, ...] = ()
    foreign: frozenset[str] = frozenset()


def choose(
    family: Family[ModelSectionT], raw: Mapping[str, Any], source: YamlSource, findings: Findings
) -> Choice[ModelSectionT]:
    """Return the class, and add what is wrong with ``type`` and ``class_path`` to the findings."""
    rest = {name: value for name, value in raw.items() if name not in {"type", "class_path"}}
    if rest.get("params", ...) is None:
        del rest["params"]
    wanted, class_path = raw.get("type"), raw.get("class_path")
    if wanted is None:
        return _without_type(family, class_path, rest, source, findings)
    try:
        kind = family.named(wanted if isinstance(wanted, str) else "")
    except KeyError:
        return _unknown_type(family, wanted, rest, source, findings)
    except PluginError as error:
        findings.refuse((family.section, "type"), f"{error}{source.where((family.section, 'type'))}")
        return _guessed(family, family.default, rest)
    notices: tuple[str, ...] = ()
    name = type_name(kind)
    if class_path is not None:
        at: Location = (family.section, "class_path")
        if isinstance(class_path, str) and class_path.startswith(_OLD_SYSTEM):
            notices = (f"{dotted(at)}: {shown(class_path)} is of the old system and is ignored; {name} is built in",)
        else:
            message = f"is given beside type {name}, which is built in{source.where(at)}"
            findings.refuse(at, message, "keep one of the two")
    return Choice(kind, {"type": name, **rest}, notices)


def corrected(family: Family[ModelSectionT], section: ModelSectionT) -> tuple[ModelSectionT, tuple[str, ...]]:
    """Return the section with the name that its model has on the hub, and a notice if it was given another one."""
    name = section.params.model_name or ""
    right = section.declaration.corrections.get(name)
    if right is None or is_local(name):
        return section, ()
    params = section.params.model_copy(update={"model_name": right})
    notice = f"{family.section}.params.model_name: {name} is called {right} on the hub; that model is used"
    return section.model_copy(update={"params": params}), (notice,)


def _without_type(
    family: Family[ModelSectionT], class_path: object, rest: dict[str, Any], source: YamlSource, findings: Findings
) -> Choice[ModelSectionT]:
    if class_path is None:
        return Choice(family.named(family.default), rest)
    at: Location = (family.section, "class_path")
    old = isinstance(class_path, str) and class_path.startswith(_OLD_SYSTEM)
    if old and (name := family.type_of_old_class(str(class_path).rpartition(".")[2])):
        message = f"{shown(class_path)} is a class of the old system{source.where(at)}"
        findings.refuse(at, message, f"write `type: {name}` instead")
        return Choice(family.named(name), rest)
    return Choice(family.own(), {"class_path": class_path, **rest})


def _unknown_type(
    family: Family[ModelSectionT], wanted: object, rest: dict[str, Any], source: YamlSource, findings: Findings
) -> Choice[ModelSectionT]:
    known = [*family.types(), *family.spellings()]
    at: Location = (family.section, "type")
    message = f"there is no {family.role} of type {shown(wanted)}{source.where(at)}; there are {listing(known)}"
    guess = nearest(wanted, known) if isinstance(wanted, str) else None
    hint = f"did you mean `{guess}`?" if guess else "for a class of your own leave `type` out"
    findings.refuse(at, message, hint)
    return _guessed(family, guess or family.default, rest)


def _guessed(family: Family[ModelSectionT], name: str, rest: dict[str, Any]) -> Choice[ModelSectionT]:
    """The type that was probably meant, so that the rest of the section can be checked."""
    keys = frozenset(key.name for key in all_keys() if key.path.startswith(f"{family.section}."))
    return Choice(family.named(name), rest, foreign=keys)
