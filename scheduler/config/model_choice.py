"""Which class a model's section has: by its ``type``, or, for a model of the user's own, by its ``class_path``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.config.catalog import Family, all_keys
from scheduler.config.problems import Location, Problem, did_you_mean, dotted, listing, nearest, shown
from scheduler.config.reading.yaml_source import Source
from scheduler.config.validation import Findings
from scheduler.config.values import Section

_OLD_SYSTEM = "src.models."


@dataclass(frozen=True)
class Choice:
    """The class of a section and what it is to be made of. ``foreign`` keys can't be judged: the type is unknown."""

    kind: type[Section]
    raw: dict[str, Any]
    notices: tuple[str, ...] = ()
    foreign: frozenset[str] = frozenset()


def choose(family: Family, raw: Mapping[str, Any], source: Source, findings: Findings) -> Choice:
    """Find the class; what is wrong with ``type`` and ``class_path`` is added to the findings."""
    rest = {name: value for name, value in raw.items() if name not in {"type", "class_path"}}
    if rest.get("params", ...) is None:
        del rest["params"]
    wanted, class_path = raw.get("type"), raw.get("class_path")
    if wanted is None:
        return _without_type(family, class_path, rest, source, findings)
    name = family.aliases.get(wanted, wanted) if isinstance(wanted, str) else ""
    if name not in family.types:
        return _unknown_type(family, wanted, rest, source, findings)
    notices: tuple[str, ...] = ()
    if class_path is not None:
        at: Location = (family.section, "class_path")
        if isinstance(class_path, str) and class_path.startswith(_OLD_SYSTEM):
            notices = (
                f"{dotted(at)}: {shown(class_path)} is of the old system and is passed over; {name} is built in",
            )
        else:
            message = f"is given beside type {name}, which is built in{source.where(at)}"
            findings.problems.append(Problem(dotted(at), message, "keep one of the two"))
            findings.wrong.add(at)
    return Choice(family.types[name], {"type": name, **rest}, notices)


def _without_type(
    family: Family, class_path: object, rest: dict[str, Any], source: Source, findings: Findings
) -> Choice:
    if class_path is None:
        return Choice(family.default, rest)
    at: Location = (family.section, "class_path")
    old = isinstance(class_path, str) and class_path.startswith(_OLD_SYSTEM)
    if old and (name := family.old_classes.get(str(class_path).rpartition(".")[2])):
        message = f"{shown(class_path)} is a class of the old system{source.where(at)}"
        findings.problems.append(Problem(dotted(at), message, f"write `type: {name}` instead"))
        findings.wrong.add(at)
        return Choice(family.types[name], rest)
    return Choice(family.own, {"class_path": class_path, **rest})


def _unknown_type(family: Family, wanted: object, rest: dict[str, Any], source: Source, findings: Findings) -> Choice:
    at: Location = (family.section, "type")
    known = [*family.types, *family.aliases]
    message = f"there is no {family.role} of type {shown(wanted)}{source.where(at)}; there are {listing(known)}"
    hint = did_you_mean(wanted, known) if isinstance(wanted, str) else None
    findings.problems.append(Problem(dotted(at), message, hint or "for a class of your own leave `type` out"))
    findings.wrong.add(at)
    guess = nearest(wanted, known) if isinstance(wanted, str) else None
    kind = family.types[family.aliases.get(guess, guess)] if guess else family.default
    prefix = f"{family.section}."
    return Choice(kind, rest, foreign=frozenset(key.name for key in all_keys() if key.path.startswith(prefix)))
