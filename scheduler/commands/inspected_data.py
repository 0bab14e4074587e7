"""What ``warmbench inspect`` says of data: its format, counts, bad pairs, and what protocols make of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from scheduler.base.text import all_are, counted, one_line
from scheduler.benchmark import Benchmark, DataError, load_benchmark
from scheduler.benchmark.formats.declaration import FORMATS, FieldMap
from scheduler.commands.inspected_protocols import judged_by, protocol_lines, protocols_for
from scheduler.terminal.say import say

_MAX_LISTED = 100


def inspect_data(path: Path, *, official: Path | None, fields: Mapping[str, Any] | None, **selection: Any) -> int:
    """Print what the data is; return the exit code. ``fields`` are those of a ``FieldMap``.

    ``selection`` has further arguments of ``load_benchmark``.
    """
    console = Console(highlight=False)
    mapped = None if fields is None else FieldMap(**fields)
    try:
        with console.status("reading") as status:
            benchmark = load_benchmark(
                path,
                fields=mapped,
                thorough=True,
                progress=lambda count: status.update(f"{counted(count, 'item')} read"),
                **selection,
            )
    except DataError as error:
        print(one_line(error), file=sys.stderr)
        return 2
    say(console, *map(one_line, _data_lines(benchmark)))
    protocols = protocols_for(benchmark, path, official)
    for known, prepared in protocols:
        usable, benchmark = judged_by(prepared, benchmark)
        say(console, *protocol_lines(known, usable, benchmark))
    if not protocols:
        say(console, "Protocol: none judges data of this format; a config's prompts do")
    say(console, *_bad_lines(benchmark))
    if not benchmark.pairs:
        return 2
    return 3 if benchmark.bad else 0


def _data_lines(benchmark: Benchmark) -> Iterator[str]:
    declared = FORMATS.get(benchmark.format)
    yield f"Data: {benchmark.path}"
    yield f"Format: {declared.name}: {declared.meaning.rstrip('.')}"
    count = len(benchmark.items)
    chosen = "" if count == benchmark.items_in_file else f" of {benchmark.items_in_file}"
    yield f"Items: {count}{chosen}, {len(benchmark.pairs)} good, {len(benchmark.bad)} bad"
    details = [pair.details for pair in benchmark.pairs]
    counts: dict[str, Counter[str]] = {
        "Categories": Counter(item.category for item in benchmark.items),
        "Tasks": Counter(detail.task for detail in details if detail.task is not None),
        "Languages": Counter(detail.language for detail in details if detail.language is not None),
        "Subsets": Counter(name for detail in details for name in detail.subsets),
        "Images": Counter(name for pair in benchmark.pairs for name in pair.images),
        "Further fields": Counter(benchmark.columns),
    }
    yield from (f"{title}: {_listed(count)}" for title, count in counts.items() if count)
    if declared.languages:
        yield f"May be asked for: {', '.join((*declared.languages, *declared.subsets))}"
    sizes = [image.size for pair in benchmark.pairs for image in pair.images.values()]
    if sizes:
        (width, height), (widest, highest) = min(sizes, key=_area), max(sizes, key=_area)
        yield f"Sizes: {width} x {height} to {widest} x {highest} pixels"
    yield f"SHA-256: {benchmark.sha256}"
    yield from (f"Warning: {warning}" for warning in benchmark.warnings)


def _listed(counts: Counter[str]) -> str:
    more = f" and {len(counts) - _MAX_LISTED} more" if len(counts) > _MAX_LISTED else ""
    return ", ".join(f"{name} {count}" for name, count in [*counts.items()][:_MAX_LISTED]) + more


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _bad_lines(benchmark: Benchmark) -> Iterator[str]:
    count = len(benchmark.items)
    if not benchmark.bad:
        yield f"{all_are(count, 'pair')} good."
        return
    yield f"{len(benchmark.bad)} of {counted(count, 'pair')} can't be used:"
    for pair in benchmark.bad:
        yield f"  {one_line(pair.key)}: {pair.kind}: {one_line(pair.message)}"
