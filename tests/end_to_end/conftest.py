"""A user's place to work in, cleaned up however the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Bench, bench


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Bench]:
    """A working directory, a pool home, and the commands."""
    with bench(tmp_path) as made:
        yield made
