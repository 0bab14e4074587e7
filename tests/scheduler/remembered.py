"""How much an object keeps: so that a test can tell that nothing is kept of what is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


def remembered(owner: object, *, but: object = None) -> int:
    """The entries of all its dicts, sets, lists and deques, and of those of the scheduler's objects that it holds.

    ``but`` is a container that was given to it, and does not count.
    """
    count, seen, waiting = 0, {id(but)}, [owner]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict | set | list | deque):
            count += len(one)
            waiting += _entries(one)
        elif type(one).__module__.startswith("scheduler.") and hasattr(one, "__dict__"):
            waiting += vars(one).values()
    return count


def _entries(container: Iterable[object]) -> list[object]:
    return list(container.values()) if isinstance(container, dict) else list(container)
