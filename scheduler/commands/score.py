"""``warmbench score``: scores edits that were made elsewhere."""

from __future__ import annotations

import argparse

from scheduler.commands.arguments import given, path
from scheduler.commands.run import add_run_arguments, execute

__all__ = ["add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Scores edits that were made elsewhere, each with the pair of the benchmark that it belongs to, and writes the "
        "reports. No editor is needed. Exit codes: those of run."
    )
    parser.add_argument(
        "--images",
        type=path,
        required=True,
        metavar="PATH",
        help="a folder with <category>/<pair_id>.png or in the layout of a public benchmark, or a file with one JSON "
        "object per line: id, image_path",
    )
    parser.add_argument(
        "--layout",
        type=given,
        metavar="NAME",
        help="the layout of the folder, one of `warmbench list layouts`; without it, one that suits the data",
    )
    add_run_arguments(parser)
    parser.set_defaults(editor_model=None, editor_models=None, stages=("score",))
