"""Takes the items one by one in the data's order and makes a benchmark of them: chosen, checked, named, counted."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from scheduler.benchmark.fields import FieldNames, Fields, read_fields, read_name, read_text
from scheduler.benchmark.json_cursor import Cursor
from scheduler.benchmark.model import BadPair, Benchmark, DataError, Pair, PairError, Source
from scheduler.benchmark.names import PairIds, shown

MAX_PAIRS = 100_000
MAX_CATEGORIES = 10_000
NO_CATEGORY = "#unknown"
"""Stands in for the category of an item of a list that names none, or one that can't be used."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Section:
    """A category as the data has it. One whose name can't be used has a stand-in, and the problem."""

    name: str
    problem: PairError | None = None


class Collector:
    """Everything that a load has seen so far."""

    def __init__(
        self,
        cursor: Cursor,
        names: FieldNames,
        open_image: Callable[[Fields], Source],
        *,
        categories: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> None:
        """``open_image`` raises ``PairError`` for an image that can't be used."""
        self._cursor = cursor
        self._names = names
        self._open_image = open_image
        self._wanted = None if categories is None else tuple(categories)
        self._limit = limit
        self._ids = PairIds()
        self._pairs: list[Pair] = []
        self._bad: list[BadPair] = []
        self._unnamed: dict[int, bool] = {}  # place in _bad -> whether its id came twice
        self._seen: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._repeated: dict[str, None] = {}
        self._sections = 0
        self._left_out = 0
        self._recognized = False
        self.items = 0

    def open_section(self, section: Section) -> None:
        """Note a category of data in sections, which may be empty.

        Raises:
            DataError: there are too many.
        """
        self._sections += 1
        if section.name in self._seen:
            self._repeated[section.name] = None
        self._note(section)

    def take(self, position: int, section: Section | None) -> None:
        """Take the next item; ``position`` counts from 1 within its list, ``section`` is null in a list of all pairs.

        Raises:
            DataError: there are too many pairs or categories.
            JsonError: from the cursor.
        """
        index = self.items
        self.items += 1
        if section is not None and self._recognized and not self._is_chosen(section):
            self._count(section)
            self._cursor.skip()
            return
        fields = read_fields(self._cursor, self._names)
        self._recognized |= not fields.values.keys().isdisjoint({self._names.image, self._names.instruction})
        if section is None:
            section = self._section_of(fields)
            self._note(section)
        self._count(section)
        if self._is_chosen(section):
            if len(self._pairs) + len(self._bad) == MAX_PAIRS:
                raise DataError(f"there are more than {MAX_PAIRS} pairs")
            self._taken[section.name] += 1
            self._record(index, position, section, fields)

    def finish(self, path: str) -> Benchmark:
        """Name the items that still lack a name, and return what was collected.

        Raises:
            DataError: this is no benchmark, or there is nothing in it of what was asked for.
        """
        self._check_shape()
        self._check_categories()
        if not self._taken:
            raise DataError("there is no pair in it" + (f" in {_listed(self._wanted)}" if self._wanted else ""))
        for place, twice in self._unnamed.items():
            bad = self._bad[place]
            self._bad[place] = replace(bad, pair_id=self._ids.stand_in(bad.category, bad.pair_id, twice=twice))
        benchmark = Benchmark(
            path=path,
            format=self._names.format,
            categories=tuple(name for name in self._seen if self._taken[name]),
            pairs=tuple(self._pairs),
            bad=tuple(self._bad),
            warnings=tuple(self._warnings()),
            sha256="",
        )
        return replace(benchmark, sha256=_digest(benchmark))

    # -- which items -------------------------------------------------------------------------------------------------

    def _is_chosen(self, section: Section) -> bool:
        if self._wanted is not None and (section.problem is not None or section.name not in self._wanted):
            return False
        return self._limit is None or self._taken[section.name] < self._limit

    def _section_of(self, fields: Fields) -> Section:
        try:
            return Section(read_name(self._cursor, fields, self._names.category))
        except PairError as problem:
            return Section(NO_CATEGORY, problem)

    def _note(self, section: Section) -> None:
        self._seen[section.name] += 0
        if max(len(self._seen), self._sections) > MAX_CATEGORIES:
            raise DataError(f"there are more than {MAX_CATEGORIES} categories")

    def _count(self, section: Section) -> None:
        self._seen[section.name] += 1
        self._left_out += self._wanted is not None and section.problem is not None

    # -- one item ----------------------------------------------------------------------------------------------------

    def _record(self, index: int, position: int, section: Section, fields: Fields) -> None:
        """Make a pair of the item, or a bad one: its first problem counts."""
        names, cursor = self._names, self._cursor
        check = _Check()
        check(_whole, fields)
        if section.problem is not None:
            check.problems.append(section.problem)
        pair_id = check(read_name, cursor, fields, *names.pair_id)
        owner = None
        if pair_id is not None and section.problem is None:
            owner = self._ids.claim(section.name, pair_id, index)
            check(_unique, pair_id, owner)
        instruction = check(_instruction, cursor, fields, names)
        description = check(read_text, cursor, fields, *names.description)
        reference = check(read_text, cursor, fields, *names.reference)
        source = self._look(fields) if check.problems else check(self._open_image, fields)
        if not check.problems and pair_id is not None and instruction is not None and source is not None:
            self._pairs.append(
                Pair(index, section.name, pair_id, instruction, description or "", source, source.sha256, reference)
            )
            return
        if pair_id is None or owner is not None or section.problem is not None:
            self._unnamed[len(self._bad)] = owner is not None
        problem = check.problems[0]
        self._bad.append(
            BadPair(
                index,
                section.name,
                pair_id or f"#{position}",
                problem.kind,
                problem.message,
                instruction,
                description,
                source,
            )
        )

    def _look(self, fields: Fields) -> Source | None:
        """The image of an item that is bad for another reason."""
        try:
            return self._open_image(fields)
        except PairError:
            return None

    # -- the whole ---------------------------------------------------------------------------------------------------

    def _check_shape(self) -> None:
        if self.items and not self._recognized:
            raise DataError(
                f"none of its {self.items} items has {self._names.image} or {self._names.instruction}; "
                "expected {category: [pair, ...]} or a list of pairs (a RISEBench list is named data_total.json)"
            )

    def _check_categories(self) -> None:
        for name in self._wanted or ():
            if name not in self._seen:
                near = difflib.get_close_matches(name, self._seen, n=1, cutoff=0.5)
                hint = f"did you mean {shown(near[0])}? " if near else ""
                raise DataError(f"there is no category {shown(name)}; {hint}it has {_listed(tuple(self._seen))}")

    def _warnings(self) -> list[str]:
        chosen = [name for name in self._seen if self._wanted is None or name in self._wanted]
        warnings = [f"category {shown(name)} is empty" for name in chosen if not self._seen[name]]
        warnings += [f"category {shown(name)} comes more than once; all parts count" for name in self._repeated]
        if self._left_out:
            warnings.append(
                f"{self._left_out} items whose category is missing or can't be used are left out, "
                "because only some categories were asked for"
            )
        return warnings


class _Check:
    """Calls one check after the other and keeps their problems."""

    def __init__(self) -> None:
        self.problems: list[PairError] = []

    def __call__(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return read(*args, **kwargs)
        except PairError as problem:
            self.problems.append(problem)
            return None


def _whole(fields: Fields) -> None:
    if fields.kind != "object":
        raise PairError("bad_field", f"the item is a JSON {fields.kind}; expected an object")
    if fields.twice:
        raise PairError("bad_field", f"{min(fields.twice)} is there more than once")


def _unique(pair_id: str, owner: int | None) -> None:
    if owner is not None:
        raise PairError(
            "duplicate_id", f"the id {shown(pair_id)} is already that of the file's item {owner + 1}, which counts"
        )


def _instruction(cursor: Cursor, fields: Fields, names: FieldNames) -> str:
    text = read_text(cursor, fields, names.instruction)
    if text is None or not text.strip():
        raise PairError("no_instruction", f"{names.instruction} is {'missing' if text is None else 'empty'}")
    return text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _digest(benchmark: Benchmark) -> str:
    digest = hashlib.sha256()
    for item in benchmark.items:
        last = item.kind if isinstance(item, BadPair) else [item.sha256, item.reference]
        row = [item.category, item.pair_id, item.instruction, item.description, last]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
