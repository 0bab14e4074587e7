"""Times by the scheduler's clock. Clocks of other machines may differ from it by minutes."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, structs

_SAME_SECONDS = 0.001

MessageT = TypeVar("MessageT", bound=Struct)


class Offset(Struct, frozen=True):
    """What is added to times of another clock, in seconds, and by how much that may be wrong."""

    seconds: float
    error: float


def measured(asked: float, answered: float, theirs: float) -> Offset:
    """Return the offset of a clock that showed ``theirs`` between a question and its answer, both by our own clock.

    Clocks that agree as far as this tells are taken as one.
    """
    error = max(0.0, answered - asked) / 2
    seconds = asked + error - theirs
    return Offset(0.0 if abs(seconds) <= error + _SAME_SECONDS else seconds, error)


def better(earlier: Offset | None, new: Offset) -> Offset:
    """Return the more exact one, but the new one if the clock has been set in between."""
    if (
        earlier is None
        or new.error <= earlier.error
        or abs(new.seconds - earlier.seconds) > new.error + earlier.error + _SAME_SECONDS
    ):
        return new
    return earlier


def by_our_clock(message: MessageT, offset: float) -> MessageT:
    """Return the message with the times of its work, and of parts of it, by our clock."""
    if not offset:
        return message
    changes: dict[str, object] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in ("started", "finished") and value is not None:
            changes[name] = max(0.0, value + offset)
        elif isinstance(value, list) and value and isinstance(value[0], Struct):
            changes[name] = [by_our_clock(part, offset) for part in value]
    return structs.replace(message, **changes) if changes else message
