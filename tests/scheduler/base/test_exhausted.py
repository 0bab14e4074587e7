"""A process that is out of memory says so in one line, in whatever way it finds out."""

from __future__ import annotations

import errno
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.base.exhausted import exhausted

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory (MemoryError)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory (OSError: [Errno 12] Cannot allocate memory)"),
        (RuntimeError("can't start new thread"), "out of memory (RuntimeError: can't start new thread)"),
        (
            ImportError("libX.so:\n failed to map segment from shared object"),
            "out of memory (ImportError: libX.so: failed to map segment from shared object)",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), None),
        (RuntimeError("another"), None),
        (ImportError("No module named x"), None),
        (SystemError("error return without exception set"), None),
    ],
)
def test_errors_of_exhaustion_are_told_from_others(error: Exception, reason: str | None) -> None:
    assert exhausted(error) == reason


def test_the_cause_counts_too() -> None:
    error = ValueError("the model cannot be read")
    error.__cause__ = MemoryError()
    assert exhausted(error) == "out of memory (MemoryError)"


@pytest.mark.parametrize(
    "text", ["error return without exception set", "<function f> returned NULL without setting an exception"]
)
def test_an_error_that_was_lost_counts_where_memory_is_limited(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64_000_000, 64_000_000))
    assert exhausted(SystemError(text)) == (
        f"out of memory (SystemError: {text}); the address space is limited to 64 MB: raise it with `ulimit -v`"
    )
    assert exhausted(SystemError("bad argument to internal function")) is None


def test_a_command_with_too_little_memory_ends_with_one_line() -> None:
    program = (
        "import psutil, resource, sys\n"
        "from scheduler.commands.main import main\n"
        "limit = psutil.Process().memory_info().vms + 2_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "sys.exit(main(['run', '--config', 'none.yaml']))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, text=True)
    assert result.returncode == 1, result.stderr
    (line,) = result.stderr.splitlines()
    assert re.fullmatch(
        r"warmbench: out of memory \(.+\); the address space is limited to \d+ MB: .* `ulimit -v`", line
    )
