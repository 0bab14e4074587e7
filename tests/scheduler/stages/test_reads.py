"""Which source is read first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.pairs import SourceImage
from scheduler.stages.reads import Reads
from scheduler.stages.services import Services


@dataclass(frozen=True)
class Named:
    name: str

    def read(self) -> bytes:
        return self.name.encode()


class Readers:
    """The services' reader threads, which end what they have begun when they are told to."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Callable[[], None]]] = []

    def read(self, function: Callable[[], Any], then: Callable[[Any], None]) -> None:
        found = function()
        self.begun.append((found.decode(), lambda: then(found)))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.begun]

    def end(self, number: int = 0) -> None:
        _, then = self.begun.pop(number)
        then()


def reads_of(readers: Readers) -> Callable[[str, Callable[[Any], None], bool], None]:
    reads = Reads(cast("Services", readers))
    return lambda name, then, ahead: reads.read(cast("SourceImage", Named(name)), then, ahead=ahead)


def test_where_all_threads_are_taken_what_a_device_waits_for_overtakes_what_is_ahead() -> None:
    readers, found = Readers(), list[bytes]()
    read = reads_of(readers)
    for name in "1234":
        read(name, found.append, False)
    read("ahead", found.append, True)
    read("awaited", found.append, False)
    assert readers.names == ["1", "2", "3", "4"]
    readers.end()
    assert readers.names == ["2", "3", "4", "awaited"]
    readers.end()
    assert readers.names == ["3", "4", "awaited", "ahead"]
    assert found == [b"1", b"2"]


def test_one_that_takes_long_holds_nobody_up() -> None:
    readers = Readers()
    read = reads_of(readers)
    for name in ["slow", "a", "b", "c"]:
        read(name, lambda _: None, False)
    read("ahead", lambda _: None, True)
    readers.end(1)
    assert readers.names == ["slow", "b", "c", "ahead"]


def test_without_a_device_that_waits_what_is_ahead_is_read_at_once() -> None:
    readers = Readers()
    read = reads_of(readers)
    read("ahead", lambda _: None, True)
    assert readers.names == ["ahead"]


@given(st.lists(st.booleans(), max_size=20), st.data())
def test_everything_is_read_once_in_every_order_and_also_if_more_is_asked_for_meanwhile(
    asked: list[bool], data: st.DataObject
) -> None:
    readers, found = Readers(), list[str]()
    read = reads_of(readers)
    names = iter(range(1000))

    def then(content: bytes) -> None:
        found.append(content.decode())
        if len(found) < 30 and data.draw(st.booleans()):
            read(str(next(names)), then, data.draw(st.booleans()))

    for ahead in asked:
        read(str(next(names)), then, ahead)
    while readers.begun:
        readers.end(data.draw(st.integers(0, len(readers.begun) - 1)))
    assert sorted(found, key=int) == [str(number) for number in range(next(names))]
