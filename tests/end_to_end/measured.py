"""Commands whose memory is measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import User

MEGABYTE = 2**20


@dataclass(frozen=True)
class Measured:
    """How a command ended, and the most memory that its own process had."""

    code: int
    output: str
    peak: int


def measured(user: User, *arguments: str | Path) -> Measured:
    """Run a command; it must not die of an exception, whatever it was given."""
    if arguments[0] == "run":
        arguments = (*arguments, *user.pool_options)
    with (user.folder / "said").open("w+", encoding="utf-8", errors="replace") as said:
        command = [sys.executable, "-m", "scheduler", *map(str, arguments)]
        code = subprocess.call(
            [sys.executable, "-c", _MEASURE, str(user.folder / "peak"), *command],
            cwd=user.folder,
            env=user.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        said.seek(0)
        output = said.read()
    assert "Traceback" not in output, output
    return Measured(code, output, int((user.folder / "peak").read_text()) * 1024)


_MEASURE = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""A small process between: the kernel counts what the parent had at the fork into the peak of the child."""
