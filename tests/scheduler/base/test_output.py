"""Standard output that cannot be written ends no command: one line says so, except to a reader that has left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from rich.console import Console
from scheduler.base.output import Output
from scheduler.terminal.say import say
with Output() as output:
    for _ in range(3):
        say(Console(highlight=False), "x" * 5000)
        print("y" * 20_000)
assert output.failed
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("a full disk", "No space left on device"),
        ("a closed pipe", ""),
        ("a terminal that is gone", "Input/output error"),
    ],
)
def test_a_command_finishes_with_its_own_exit_code(where: str, told: str) -> None:
    reader: int | None = None
    if where == "a full disk":
        writer = os.open("/dev/full", os.O_WRONLY)
    elif where == "a closed pipe":
        reader, writer = os.pipe()
    else:
        reader, writer = os.openpty()
    if reader is not None:
        os.close(reader)
    try:
        program = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, check=False, text=True)
    finally:
        os.close(writer)
    assert result.returncode == 7
    line = f"warmbench: standard output cannot be written, so nothing more is shown: {told}\n"
    assert result.stderr == (line if told else "")


@pytest.mark.parametrize(
    ("shell", "code", "lines"),
    [("list >/dev/full", 1, 1), ("list | true", 1, 0), ("list >&-", 0, 0), ("--version >/dev/full", 1, 1)],
)
def test_a_command_whose_output_is_its_result_fails_with_it(shell: str, code: int, lines: int) -> None:
    command = f"set -o pipefail; {sys.executable} -m scheduler {shell}"
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False, text=True)
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (code, "", lines), result.stderr
