"""The command line: the table of commands. A command's module is imported when the command is named, and not before."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from protocol import VERSION
from scheduler.base.exhausted import exhausted
from scheduler.base.exit_codes import EXIT_INTERRUPTED
from scheduler.base.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "run": "edit and score a benchmark, and write the reports",
    "score": "score edits that were made elsewhere, and write the reports",
    "watch": "evaluate every checkpoint that a training writes, once it is complete",
    "runs": "list the runs of an output folder",
    "status": "show the progress of a run, from its files alone",
    "report": "write a run's reports again, from its directory alone",
    "compare": "compare runs pair by pair",
    "series": "show checkpoint after checkpoint, or model beside model, and fail a run that is worse",
    "merge": "make one run of the shards of a benchmark, and write its reports",
    "export": "write a run's edits into a folder as the script of a public benchmark reads them",
    "workers": "start, show or stop a pool, hand out its keys, or join one as a worker",
    "inspect": "say what a path is, a model or data, and what is wrong with it",
    "list": "show the formats, protocols, layouts, models, placers and trackers that can be used, plug-ins included",
}
"""Each is a module of this package with ``add_arguments(parser)`` and ``execute(options) -> exit code``."""


def parser(commands: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the arguments of these commands."""
    whole = argparse.ArgumentParser(
        prog="warmbench",
        description="Evaluates image-editing models: edits the pairs of a benchmark, scores the edits with a reward "
        "model, and writes reports.",
    )
    whole.add_argument("--version", action="version", version=f"warmbench {VERSION}")
    subparsers = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in commands:
            module = import_module(f"scheduler.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(execute=module.execute)
    return whole


def _begin_again_in_utf8_mode() -> None:
    """Replace the process where the locale is not UTF-8: file names and logs may hold any character. Python can change
    that at its start only. What the terminal shows stays in its encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command, without a shell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    if arguments is None:
        _begin_again_in_utf8_mode()
    # Names from data may hold any character; one that the terminal cannot show must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    output = Output()
    try:
        with output:
            code, shows = _execute(given)
    except SystemExit as ended:  # of argparse, after a help text or a usage error
        sys.exit(1 if output.failed and not ended.code else ended.code)
    return 1 if output.failed and shows and code == 0 else code


def _execute(given: list[str]) -> tuple[int, bool]:
    """Return the exit code, and whether what the command prints is its result."""
    try:
        options = parser(given[:1]).parse_args(given)
        options.given = given
        execute: Callable[[argparse.Namespace], int] = options.execute
        return execute(options), _shows(options)
    except Exception as error:
        reason = exhausted(error)
        if reason is None:
            raise
        print(f"warmbench: {reason}", file=sys.stderr)
        return 1, True
    except KeyboardInterrupt:
        print("interrupted before anything was run", file=sys.stderr)
        return EXIT_INTERRUPTED, True


def _shows(options: argparse.Namespace) -> bool:
    """Whether what the command prints is its result. A run leaves its log and reports, a pool is up or not."""
    return getattr(options, "dry_run", True) and getattr(options, "action", "status") == "status"
