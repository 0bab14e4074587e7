"""``warmbench inspect``: says what a path is, a model or data, and what is wrong with it. Nothing is run or loaded."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial

from rich.console import Console

from scheduler.base.text import all_are, counted, one_line
from scheduler.benchmark import Benchmark, DataError, load_benchmark
from scheduler.benchmark.formats.declaration import FORMATS, FieldMap
from scheduler.commands.arguments import given, path
from scheduler.commands.inspected_model import describe_model, is_model
from scheduler.commands.inspected_protocols import protocol_lines, protocols_for
from scheduler.protocols.prepared import PreparedProtocol, suitable
from scheduler.terminal.say import say

EXIT_GOOD, EXIT_UNUSABLE, EXIT_BAD_PAIRS = 0, 2, 3
_MAX_LISTED = 100
_ONE, _SEVERAL = ("id", "category", "instruction", "image", "reference_image", "ground_truth", "mask"), ("sources",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says what a path is: a model (a folder with model_index.json, or with config.json beside safetensors), or the "
        "data of a benchmark, with each bad pair and with what a protocol would ask the judge about the first one. "
        "Exit codes: 0 all is good; 3 some pairs cannot be used; 2 the path is neither, or cannot be used as a whole."
    )
    parser.add_argument("path", type=path, metavar="PATH", help="a file or folder")
    parser.add_argument("--format", type=given, metavar="NAME", help="the data's format (default: detected)")
    parser.add_argument("--language", type=given, metavar="NAME", help="the language of the instructions, such as en")
    parser.add_argument("--subset", type=given, metavar="NAME", help="a part of the data, such as intersection")
    parser.add_argument("--official", type=path, metavar="DIR", help="the checkout with the benchmark's own prompts")
    parser.add_argument(
        "--field",
        action="append",
        type=_field,
        default=[],
        metavar="KEY=NAME",
        help=f"as benchmark.fields of a config; KEY is one of {', '.join((*_ONE, *_SEVERAL))}",
    )


def _field(text: str) -> tuple[str, str]:
    key, _, name = text.partition("=")
    if key not in (*_ONE, *_SEVERAL) or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=NAME with one of {', '.join((*_ONE, *_SEVERAL))}")
    return key, name


def execute(options: argparse.Namespace) -> int:
    console = Console(highlight=False)
    if is_model(options.path):
        lines, problems = describe_model(options.path)
        say(console, *map(one_line, lines), *(f"Problem: {one_line(problem)}" for problem in problems))
        return EXIT_UNUSABLE if problems else EXIT_GOOD
    fields = [(key, name) for key, name in options.field if key in _ONE]
    sources = tuple(name for key, name in options.field if key in _SEVERAL)
    load = partial(
        load_benchmark,
        options.path,
        format_name=options.format,
        fields=FieldMap(**dict(fields), sources=sources) if options.field else None,
        language=options.language,
        subset=options.subset,
        thorough=True,
    )
    try:
        with console.status("reading") as status:
            benchmark = load(progress=lambda count: status.update(f"{counted(count, 'item')} read"))
    except DataError as error:
        print(one_line(error), file=sys.stderr)
        return EXIT_UNUSABLE
    say(console, *map(one_line, _data_lines(benchmark)))
    protocols = protocols_for(benchmark, options.path, options.official)
    for known, prepared in protocols:
        if isinstance(prepared, PreparedProtocol):
            benchmark = suitable(benchmark, prepared)
        say(console, *protocol_lines(known, prepared, benchmark))
    if not protocols:
        say(console, "Protocol: none judges data of this format; a config's prompts do")
    say(console, *_bad_lines(benchmark))
    if not benchmark.pairs:
        return EXIT_UNUSABLE
    return EXIT_BAD_PAIRS if benchmark.bad else EXIT_GOOD


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
