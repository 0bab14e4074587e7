"""A user's place to work in, cleaned up however the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import User, new_user


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A working directory, a pool home, and the commands."""
    with new_user(tmp_path) as made:
        yield made
