"""Checks one section so that no mistake hides another.

Wrong values are reported and removed, and the rest is checked again. So later checks, of conflicts and of the
environment, get a section with defaults in place of wrong values.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from scheduler.base.text import counted
from scheduler.config.catalog import bounds, hint_for_key, nested_section
from scheduler.config.problems import Location, Problem, did_you_mean, dotted, listing, printable, shown
from scheduler.config.reading.yaml_source import YamlSource
from scheduler.config.values import Section

SectionT = TypeVar("SectionT", bound=Section)

_LOOKS_PLAIN = re.compile(r"(?i)true|false|[-+]?\d+(\.\d+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]{1,30}")
_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "left out",
}
_RANGE_ERRORS = frozenset({"greater_than_equal", "greater_than", "less_than_equal", "less_than"})
_SIZES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "too_short": lambda ctx: f"must have at least {counted(ctx['min_length'], 'entry', 'entries')}",
    "too_long": lambda ctx: f"must have at most {counted(ctx['max_length'], 'entry', 'entries')}",
    "string_too_short": lambda ctx: f"must have at least {counted(ctx['min_length'], 'character')}",
    "string_too_long": lambda ctx: f"must have at most {counted(ctx['max_length'], 'character')}",
    "string_pattern_mismatch": lambda ctx: f"must match {ctx['pattern']}",
}


class Findings(Struct):
    """The problems so far, and the places of wrong values, which are ignored."""

    problems: list[Problem] = field(default_factory=list)
    wrong: set[Location] = field(default_factory=set)

    def refuse(self, location: Location, message: str, hint: str | None = None) -> None:
        """Add a problem with a value that is ignored from here on."""
        self.problems.append(Problem(dotted(location), message, hint))
        self.wrong.add(location)

    def hides(self, location: Location) -> bool:
        """Whether a problem at this location would only follow from one that is reported already."""
        return any(location[:end] in self.wrong for end in range(1, len(location) + 1))


class Checker(Struct, Generic[SectionT], frozen=True):
    """One section of one file. ``foreign`` are keys that can't be judged, since the section's type is unknown."""

    kind: type[SectionT]
    at: Location
    source: YamlSource
    foreign: frozenset[str] = frozenset()

    def check(self, raw: Mapping[str, Any], findings: Findings) -> SectionT | None:
        """Return the section without wrong values, or None if nothing usable is left; add to the findings."""
        data = copy.deepcopy(dict(raw))
        for attempt in range(4):
            try:
                section = self.kind.model_validate(data)
            except ValidationError as invalid:
                errors = _without_followers(invalid.errors(include_url=False))
                if attempt == 0:
                    findings.problems.extend(problem for error in errors if (problem := self._problem(error)))
                places = {_deepest(data, error["loc"]) for error in errors}
                findings.wrong |= {(*self.at, *place) for place in places}
                _remove(data, places)
            else:
                findings.problems.extend(self._conflicts(section, self.at, findings))
                return section
        return None

    def _conflicts(self, section: Section, at: Location, findings: Findings) -> Iterator[Problem]:
        for conflict in section.conflicts():
            places = [(*at, *key) for key in conflict.keys] or [(*self.at, "type")]
            if not any(findings.hides(place) for place in places):
                yield Problem(dotted(places[0]), conflict.message + self.source.where(places[0]), conflict.hint)
        for name, value in section:
            below: Iterable[tuple[Any, Any]] = [(None, value)]
            if isinstance(value, dict | tuple):
                below = value.items() if isinstance(value, dict) else enumerate(value)
            for key, part in below:
                if isinstance(part, Section):
                    yield from self._conflicts(part, (*at, name) if key is None else (*at, name, key), findings)

    def _problem(self, error: ErrorDetails) -> Problem | None:
        location = (*self.at, *(part for part in error["loc"] if part != "[key]"))
        if error["type"] == "extra_forbidden":
            return self._unknown_key(error["loc"], location)
        message, hint = self._explain(error, location)
        return Problem(dotted(location), message + self.source.where(location), hint)

    def _unknown_key(self, loc: Location, location: Location) -> Problem | None:
        name = str(loc[-1])
        if name in self.foreign:
            return None
        known = list(_section_at(self.kind, loc[:-1]).model_fields)
        where = self.source.where(location)
        hint = hint_for_key(name, str(self.at[0]), dotted(location[:-1])) or did_you_mean(name, known)
        return Problem(dotted(location), f"unknown key{where}; known here: {listing(known)}", hint)

    def _explain(self, error: ErrorDetails, location: Location) -> tuple[str, str | None]:
        kind, value, context = error["type"], error["input"], error.get("ctx", {})
        found = f", found {shown(value)}"
        hint = self._hint(kind, value, location)
        if kind == "value_error":
            return str(context["error"]), hint
        if kind == "literal_error":
            allowed = re.findall(r"'([^']*)'", str(context["expected"]))
            near = did_you_mean(value, allowed) if isinstance(value, str) else None
            return f"must be one of {listing(allowed)}{found}", near or hint
        if kind in _RANGE_ERRORS:
            return f"must be {self._range(error)}{found}", hint
        if kind in _SIZES:
            return _SIZES[kind](context) + found, hint
        if kind in _WANTED:
            return f"must be {_WANTED[kind]}{found}", hint
        return f"{printable(error['msg'], 200)}{found}", hint

    def _range(self, error: ErrorDetails) -> str:
        held = _field_at(self.kind, error["loc"])
        low, high = bounds(held) if held else (None, None)
        if low and high:
            return f"{low} to {high}" if low[0].isdigit() and high[0].isdigit() else f"{low} and {high}"
        return low or high or printable(error["msg"], 200)

    def _hint(self, kind: str, value: object, location: Location) -> str | None:
        word = self.source.words.get(location)
        if isinstance(value, bool) and word is not None and kind != "bool_type":
            if word.casefold() not in {"true", "false"}:
                return f'YAML reads the bare word {word} as {shown(value)}: put it into quotes, "{word}"'
            return None
        if isinstance(value, (int, float)) and kind == "string_type":
            return f'put it into quotes: "{word if word is not None else value}"'
        if isinstance(value, str) and kind in {*_WANTED, "value_error"} and _LEADING_ZERO.fullmatch(value):
            return _leading_zero_hint(value)
        if isinstance(value, str) and kind in _WANTED and _LOOKS_PLAIN.fullmatch(value):
            return f"leave the quotes out: {value}"
        if kind == "tuple_type" and isinstance(value, (str, int)):
            return f"write it as a list: [{printable(str(value))}]"
        return None


def _leading_zero_hint(written: str) -> str:
    """What to write in place of a number with leading zeros, which versions of YAML read differently."""
    octal, decimal = int(written, 8) if set(written).isdisjoint("89") else None, int(written)
    if octal in (None, decimal):
        return f"leave out the leading zeros: {decimal}"
    return f"with its leading zero it is {octal} (octal) in YAML 1.1, {decimal} in YAML 1.2: write {octal} or {decimal}"


def _without_followers(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short, if only because its entries are wrong."""
    places = [error["loc"] for error in errors]

    def follows(error: ErrorDetails) -> bool:
        loc = error["loc"]
        return error["type"] == "too_short" and any(place[: len(loc)] == loc != place for place in places)

    return [error for error in errors if not follows(error)]


def _section_at(kind: type[Section], loc: Location) -> type[Section]:
    for part in loc:
        held = kind.model_fields.get(str(part))
        kind = (nested_section(held.annotation) if held else None) or kind
    return kind


def _field_at(kind: type[Section], loc: Location) -> FieldInfo | None:
    return _section_at(kind, loc[:-1]).model_fields.get(str(loc[-1])) if loc else None


def _deepest(data: Any, loc: Location) -> Location:
    """The part of an error's place that is in the data, or a missing key."""
    for depth, part in enumerate(loc):
        there = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if not there:
            return loc[: depth + 1] if isinstance(data, dict) and part != "[key]" else loc[:depth]
        data = data[part]
    return loc


def _remove(data: Any, places: set[Location]) -> None:
    """Remove the places; those in lists from the end, so that the others keep their index."""
    for place in sorted(places, key=lambda place: [(isinstance(part, str), part) for part in place], reverse=True):
        holder = data
        for part in place[:-1]:
            holder = holder[part]
        if isinstance(holder, dict):
            holder.pop(place[-1], None)
        elif place:
            del holder[place[-1]]
