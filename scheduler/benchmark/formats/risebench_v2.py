"""RISEBench, version 2 of its file: a folder with ``datav2_total_w_subtask.json`` and the image files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler.benchmark.formats.declaration import Format, Item
from scheduler.benchmark.formats.official import has_file
from scheduler.benchmark.formats.risebench import read_items

LIST = "datav2_total_w_subtask.json"


def detect(path: Path) -> bool:
    return has_file(path, LIST)


def read(path: Path) -> Iterator[Item]:
    return read_items(path, LIST)


FORMAT = Format("risebench_v2", "A RISEBench folder of 2025, or its datav2_total_w_subtask.json.", read, detect)
