"""A console that nobody can read any more does not end a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from scheduler.terminal.say import PatientConsole, say
console = PatientConsole(highlight=False)
for number in range(3):
    say(console, "x" * 5000)
assert console.quiet and not console._buffer
sys.exit(7)
"""


@pytest.mark.parametrize("where", ["a full disk", "a closed pipe", "a terminal that is gone"])
def test_a_command_finishes_with_its_own_exit_code(where: str) -> None:
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
        root = Path(__file__).parents[3]
        result = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, cwd=root, check=False, text=True)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (7, "")
