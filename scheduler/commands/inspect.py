"""``warmbench inspect``: says what a path is, a model or data, and what is wrong with it. Nothing is run or loaded."""

from __future__ import annotations

import argparse

from scheduler.commands.arguments import given, path

_ONE, _SEVERAL = ("id", "category", "instruction", "image", "reference_image", "ground_truth", "mask"), ("sources",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says what a path is: a model (a folder with model_index.json, or with config.json beside safetensors), or the "
        "data of a benchmark, with each bad pair and with what a protocol would ask the judge about the first one. "
        "Exit codes: 0 all is good; 3 some pairs cannot be used; 2 the path is neither, or cannot be used as a whole."
    )
    parser.add_argument("path", type=path, metavar="PATH", help="a file or folder")
    parser.add_argument(
        "--with",
        type=path,
        metavar="MODEL",
        dest="other",
        help="of an editor or judge: how it shares a GPU with this one",
    )
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
    from scheduler.commands.inspected_data import inspect_data  # imports pydantic, and --help does not need it
    from scheduler.commands.inspected_model import inspect_model, is_model

    if is_model(options.path):
        return inspect_model(options.path, options.other)
    one = {key: name for key, name in options.field if key in _ONE}
    sources = tuple(name for key, name in options.field if key in _SEVERAL)
    return inspect_data(
        options.path,
        official=options.official,
        format_name=options.format,
        fields={**one, "sources": sources} if options.field else None,
        language=options.language,
        subset=options.subset,
    )
