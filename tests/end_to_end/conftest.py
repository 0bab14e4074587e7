"""Users, each in a working directory of its own. What they start is ended however the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from protocol.pool import read_worker_cards
from scripts.place import Place
from tests.harness import User, new_user, small_benchmark

WARM = "warm"


@pytest.fixture
def user(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[User]:
    """A user whose runs launch and stop pools of their own; in a test that is marked ``warm``, they share a pool."""
    if request.node.get_closest_marker("warm"):
        made = warm_user_in(tmp_path, request.getfixturevalue("warm_place"))
        yield made
        made.end_started()
        return
    with new_user(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def warm_place() -> Iterator[Place]:
    """Where the warm pool is that tests share."""
    place = Place()
    yield place
    place.end_everything()


def warm_user_in(folder: Path, place: Place) -> User:
    """A user whose runs share a warm pool with those of other tests: two simulated editors and a reward.

    For tests of what a run makes of its input, and not of how pools start, end and fail: such a run takes half as long.
    """
    user = User(folder, place, pool=WARM)
    if not _is_up(place):
        config = user.simulated(small_benchmark(folder / "first.json", pairs=1), name="first")
        started = user.run("workers", "start", "--config", config, "--pool", WARM)
        assert started.code == 0, started.output
    return user


def _is_up(place: Place) -> bool:
    cards = read_worker_cards(place.home / WARM)
    return len(cards) == 3 and all(psutil.pid_exists(card.pid) for card in cards)
