"""Which thumbnails of a pair's images are stale when a run is resumed with other data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from scheduler.benchmark.pairs import Details, Pair
from scheduler.run.planner import changed_images
from scheduler.store.rows import PlannedRow
from tests.scheduler.rows import planned


@dataclass(frozen=True)
class Image:
    sha256: str
    size: tuple[int, int] = (1, 1)

    def read(self) -> bytes:
        return b""


def pair(source: str, **images: str) -> Pair:
    details = Details(images={name: Image(sha256) for name, sha256 in images.items()})
    return Pair(0, "物理", "1", "do", "", Image(source), source, details=details)


def row(**changes: Any) -> PlannedRow:
    return msgspec.structs.replace(planned("1"), **changes)


def test_images_with_another_hash_are_changed_and_new_ones_are_not() -> None:
    before = row(source_sha256="a", images={"reference": "b", "mask": "c", "source_2": "d"})
    assert changed_images(before, pair("a", reference="b", mask="c")) == []
    assert changed_images(before, pair("x", reference="b", mask="y", ground_truth="z")) == ["source", "mask"]
    assert changed_images(row(source_sha256=None), pair("x", mask="y")) == []
    assert changed_images(None, pair("x", mask="y")) == []
