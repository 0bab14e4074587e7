"""Compares what the code gives with files under ``tests/data``, which were recorded from an earlier version.

``RECORD=1 python -m pytest FILE`` records again what the tests in that file compare; review the difference in git.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parent / "data"


def assert_as_recorded(path: Path, text: str) -> None:
    """Compare a text with what is recorded in this file, or record it."""
    if os.environ.get("RECORD"):
        path.write_bytes(text.encode())
        pytest.skip(f"recorded {path}")
    assert text == path.read_bytes().decode()
