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
    """Reader threads that finish a read when the test says so."""

    def __init__(self) -> None:
        self.running: list[tuple[str, Callable[[], None]]] = []

    def read(self, function: Callable[[], Any], then: Callable[[Any], None]) -> None:
        [content] = function()
        self.running.append((content.decode(), lambda: then(content)))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.running]

    def end(self, number: int = 0) -> None:
        _, then = self.running.pop(number)
        then()


def reads_of(readers: Readers) -> Callable[[str, Callable[[Any], None], bool], None]:
    reads = Reads(cast("Services", readers))
    return lambda name, then, ahead: reads.read([cast("SourceImage", Named(name))], then, ahead=ahead)


def test_while_all_threads_are_busy_a_source_that_a_device_waits_for_overtakes_others() -> None:
    readers, arrived = Readers(), list[bytes]()
    read = reads_of(readers)
    for name in "1234":
        read(name, arrived.append, False)
    read("ahead", arrived.append, True)
    read("awaited", arrived.append, False)
    assert readers.names == ["1", "2", "3", "4"]
    readers.end()
    assert readers.names == ["2", "3", "4", "awaited"]
    readers.end()
    assert readers.names == ["3", "4", "awaited", "ahead"]
    assert arrived == [b"1", b"2"]


def test_a_slow_read_does_not_delay_others() -> None:
    readers = Readers()
    read = reads_of(readers)
    for name in ["slow", "a", "b", "c"]:
        read(name, lambda _: None, False)
    read("ahead", lambda _: None, True)
    readers.end(1)
    assert readers.names == ["slow", "b", "c", "ahead"]


def test_without_a_waiting_device_sources_are_read_ahead() -> None:
    readers = Readers()
    read = reads_of(readers)
    read("ahead", lambda _: None, True)
    assert readers.names == ["ahead"]


@given(st.lists(st.booleans(), max_size=20), st.data())
def test_every_source_is_read_once_in_any_order_even_if_more_are_requested_meanwhile(
    asked: list[bool], data: st.DataObject
) -> None:
    readers, arrived = Readers(), list[str]()
    read = reads_of(readers)
    names = iter(range(1000))

    def then(content: bytes) -> None:
        arrived.append(content.decode())
        if len(arrived) < 30 and data.draw(st.booleans()):
            read(str(next(names)), then, data.draw(st.booleans()))

    for ahead in asked:
        read(str(next(names)), then, ahead)
    while readers.running:
        readers.end(data.draw(st.integers(0, len(readers.running) - 1)))
    assert sorted(arrived, key=int) == [str(number) for number in range(next(names))]
