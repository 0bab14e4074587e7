"""Makes a benchmark of the items of a format: chosen, checked, named, counted."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from msgspec import Struct

from scheduler.base.text import counted
from scheduler.benchmark.details import kind_of, opened_details
from scheduler.benchmark.formats.declaration import Category, Item, Value
from scheduler.benchmark.names import PairIds, checked_name, checked_text, shown
from scheduler.benchmark.pairs import NO_DETAILS, BadPair, Benchmark, DataError, Details, Pair, PairError

MAX_PAIRS = 100_000
MAX_CATEGORIES = 10_000
MAX_COLUMNS = 10_000
NO_CATEGORY = "#unknown"
"""Stands in for the category of an item of a list that names none, or one that can't be used."""

T = TypeVar("T")


class _Group(Struct, frozen=True):
    """A category of the data. One whose name cannot be used has a stand-in, and the problem."""

    name: str
    problem: PairError | None = None


class Collector:
    """Takes the items of one benchmark. All methods raise ``DataError`` if the data as a whole cannot be used."""

    def __init__(
        self,
        *,
        categories: Sequence[str] | None = None,
        language: str | None = None,
        subset: str | None = None,
        limit: int | None = None,
        thorough: bool = False,
    ) -> None:
        self._wanted = None if categories is None else tuple(categories)
        self._language = language
        self._subset = subset
        self._limit = limit
        self._thorough = thorough
        self._ids = PairIds()
        self._pairs: list[Pair] = []
        self._bad: list[BadPair] = []
        self._unnamed: dict[int, bool] = {}  # place in _bad -> whether its id came twice
        self._seen: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._columns: Counter[str] = Counter()
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)
        self._repeated: dict[str, None] = {}
        self._opened = 0
        self._group: _Group | None = None
        self._position = 0
        self._left_out = 0
        self.items = 0
        self.warnings: list[str] = []

    def open_category(self, category: Category) -> None:
        """Note a category that the next items belong to."""
        self._opened += 1
        self._position = 0
        self._group = _group(category.name, f"#{self._opened}")
        if self._group.name in self._seen:
            self._repeated[self._group.name] = None
        self._note(self._group)

    def take(self, item: Item) -> None:
        """Take the next item."""
        index = self.items
        self.items += 1
        self._position += 1
        group = self._group
        if group is None:
            group = _group(item.category, NO_CATEGORY)
            self._note(group)
        self._seen[group.name] += 1
        self._count_columns(item)
        self._left_out += self._wanted is not None and group.problem is not None
        if self._is_chosen(group, item):
            if len(self._pairs) + len(self._bad) == MAX_PAIRS:
                raise DataError(f"there are more than {MAX_PAIRS} pairs")
            self._taken[group.name] += 1
            self._record(index, group, item)

    def finish(self, path: str, format_name: str) -> Benchmark:
        """Name the items that still lack a name, and return the benchmark."""
        self._check_categories()
        if not self._taken:
            raise DataError("there is no pair in it" + self._selection())
        for place, twice in self._unnamed.items():
            bad = self._bad[place]
            self._bad[place] = replace(bad, pair_id=self._ids.stand_in(bad.category, bad.pair_id, twice=twice))
        benchmark = Benchmark(
            path=path,
            format=format_name,
            categories=tuple(name for name in self._seen if self._taken[name]),
            pairs=tuple(self._pairs),
            bad=tuple(self._bad),
            warnings=(*self.warnings, *self._warnings()),
            sha256="",
            columns=dict(self._columns),
            kinds={name: tuple(sorted(kinds)) for name, kinds in self._kinds.items()},
            items_in_file=self.items,
        )
        return replace(benchmark, sha256=_digest(benchmark))

    def _is_chosen(self, group: _Group, item: Item) -> bool:
        if self._wanted is not None and (group.problem is not None or group.name not in self._wanted):
            return False
        if self._language is not None and item.language not in (None, self._language):
            return False
        if self._subset is not None and self._subset not in item.subsets:
            return False
        return self._limit is None or self._taken[group.name] < self._limit

    def _selection(self) -> str:
        """Return what was asked for, as the end of a sentence."""
        categories = f" in {_listed(self._wanted)}" if self._wanted else ""
        language = f" with instructions in {self._language}" if self._language else ""
        return categories + language + (f" of the subset {self._subset}" if self._subset else "")

    def _count_columns(self, item: Item) -> None:
        for name, value in item.facts.items():
            self._columns[name] += 1
            self._kinds[name].add(kind_of(value))
        if len(self._columns) > MAX_COLUMNS:
            raise DataError(f"its items have more than {MAX_COLUMNS} different fields")

    def _note(self, group: _Group) -> None:
        self._seen[group.name] += 0
        if max(len(self._seen), self._opened) > MAX_CATEGORIES:
            raise DataError(f"there are more than {MAX_CATEGORIES} categories")

    def _record(self, index: int, group: _Group, item: Item) -> None:
        """Make a pair of the item, or a bad one: its first problem counts."""
        problems = [problem for problem in (item.problem, group.problem) if problem is not None]

        def checked(check: Callable[[], T]) -> T | None:
            try:
                return check()
            except PairError as problem:
                problems.append(problem)
                return None

        pair_id = checked(lambda: checked_name(item.pair_id, "pair_id"))
        owner = None
        if pair_id is not None and group.problem is None:
            owner = self._ids.claim(group.name, pair_id, index)
            if owner is not None:
                problems.append(_twice(pair_id, owner))
        language, text = _chosen_instruction(item, self._language)
        what = f"instruction in {language}" if isinstance(item.instruction, Mapping) else "instruction"
        instruction = checked(lambda: _checked_instruction(text, what))
        description = checked(lambda: checked_text(item.description, "description"))
        reference = checked(lambda: checked_text(item.reference, "reference"))
        source = checked(lambda: item.image(thorough=self._thorough))
        details = checked(lambda: opened_details(item, language, thorough=self._thorough))
        if not (problems or pair_id is None or instruction is None or source is None or details is None):
            texts = (instruction, description or "", source, source.sha256, reference)
            self._pairs.append(Pair(index, group.name, pair_id, *texts, details))
            return
        if pair_id is None or owner is not None or group.problem is not None:
            self._unnamed[len(self._bad)] = owner is not None
        kind, message = problems[0].kind, problems[0].message
        name = pair_id or f"#{self._position}"
        self._bad.append(BadPair(index, group.name, name, kind, message, instruction, description, source))

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
            ends = [f"whose category is missing or can't be used {verb} left out" for verb in ("is", "are")]
            items = counted(self._left_out, f"item {ends[0]}", f"items {ends[1]}")
            warnings.append(f"{items}, because only some categories were asked for")
        return warnings


def _group(name: Value, stand_in: str) -> _Group:
    try:
        return _Group(checked_name(name, "category"))
    except PairError as problem:
        return _Group(stand_in, problem)


def _chosen_instruction(item: Item, language: str | None) -> tuple[str | None, Value]:
    """Return the item's instruction in this language, or else in the first, and the language that it is in."""
    if not isinstance(item.instruction, Mapping):
        return item.language, item.instruction
    chosen = language or next(iter(item.instruction), None)
    return chosen, item.instruction.get(chosen) if chosen is not None else None


def _checked_instruction(instruction: Value, what: str) -> str:
    text = checked_text(instruction, what)
    if text is None or not text.strip():
        raise PairError("no_instruction", f"{what} is {'missing' if text is None else 'empty'}")
    return text


def _twice(pair_id: str, owner: int) -> PairError:
    message = f"the id {shown(pair_id)} is already that of the file's item {owner + 1}, which counts"
    return PairError("duplicate_id", message)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _digest(benchmark: Benchmark) -> str:
    digest = hashlib.sha256()
    for item in benchmark.items:
        last = item.kind if isinstance(item, BadPair) else [item.sha256, item.reference]
        row: list[object] = [item.category, item.pair_id, item.instruction, item.description, last]
        if isinstance(item, Pair) and item.details != NO_DETAILS:
            row.append(_as_json(item.details))
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def _as_json(details: Details) -> list[object]:
    images = {name: image.sha256 for name, image in details.images.items()}
    return [images, details.language, details.task, details.subsets, details.facts]
