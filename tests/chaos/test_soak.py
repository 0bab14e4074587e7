"""A soak that is long enough to show growth with each pair, and short enough for every day."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.soak import watch, write_pairs
from tests.harness import new_user

PAIRS = 1600

MOST_BYTES = 1500
"""More than 100: within so few pairs an arena of the allocator more comes to 700 bytes a pair. Images that wait for the
disk, or rows and jobs that are kept, are above it all the same."""


@pytest.mark.slow
@pytest.mark.parametrize("barriers", [False, True])
def test_nothing_grows_with_each_pair(tmp_path: Path, barriers: bool) -> None:
    with new_user(tmp_path) as place:
        soak = watch(place, write_pairs(tmp_path / "pairs.json", PAIRS), PAIRS, barriers=barriers)
    assert list(soak.problems()) == [], soak.output
    assert soak.bytes_per_pair < MOST_BYTES
