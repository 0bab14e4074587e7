"""``python -m scripts.bench``: the command line of the bench."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from scheduler.commands.arguments import positive
from scripts.bench.results import announce, machine, raw_file, table
from scripts.bench.settings import Settings
from scripts.bench.suite import DEFAULT, FIGURES, run_suite
from scripts.bench.workplace import workplace
from scripts.place import PlaceError

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_TABLE_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print one table, and return the exit code."""
    options = _parser().parse_args(arguments)
    settings = Settings(pairs=options.pairs, repeat=options.repeat)
    only = options.only or (FIGURES if options.all else DEFAULT)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _TABLE_WIDTH
    for number in (signal.SIGINT, signal.SIGTERM):
        # Set explicitly: a command that a shell starts in the background ignores Ctrl-C.
        signal.signal(number, _interrupt)
    try:
        with raw_file(options.output_dir) as (path, record), workplace() as place:
            conditions = {**asdict(settings), **machine()}
            record({"figure": "conditions", "at": "start", **conditions})
            ratios = run_suite(place, settings, announce(console, record), only)
            record({"figure": "conditions", "at": "end", **machine()})
            for ratio in ratios:
                record({"figure": ratio.figure, "summary": asdict(ratio)})
    except PlaceError as error:
        console.print(f"measurement failed: {error}", markup=False)
        return EXIT_FAILED
    except KeyboardInterrupt:
        console.print("interrupted; no process is left running")
        return EXIT_INTERRUPTED
    title = (
        f"{settings.pairs} pairs, {settings.editors} editors, {conditions['cores']} cores, best of {settings.repeat}"
    )
    console.print(table(ratios, title))
    console.print(f"raw figures: {path}", soft_wrap=True)
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    defaults = Settings()
    parser.add_argument(
        "--pairs", type=positive, default=defaults.pairs, help=f"pairs per throughput run (default {defaults.pairs})"
    )
    parser.add_argument("--repeat", type=positive, default=defaults.repeat, help="runs per figure; the best counts")
    parser.add_argument("--only", action="append", choices=FIGURES, help="measure only this figure; may be repeated")
    parser.add_argument("--all", action="store_true", help="include figures that take minutes or need a browser")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/bench"), help="folder for the raw figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
