"""The output of the bench: raw numbers as JSON lines, and one table."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.bench.settings import Ratio, Record

_PEER = "thread pool"


@contextmanager
def raw_file(folder: Path) -> Iterator[tuple[Path, Record]]:
    """A new file in this folder, named by the time, and a function that adds a line to it and flushes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _new(folder, time.strftime("%Y%m%d_%H%M%S"))
    with path.open("w", encoding="utf-8") as file:

        def record(numbers: Mapping[str, Any]) -> None:
            file.write(json.dumps(numbers, ensure_ascii=False) + "\n")
            file.flush()

        yield path, record


def _new(folder: Path, stamp: str) -> Path:
    number = 1
    while True:
        path = folder / (f"{stamp}.jsonl" if number == 1 else f"{stamp}_{number}.jsonl")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return path


def machine() -> dict[str, Any]:
    """The machine. A load above a few tenths means that other programs were running."""
    return {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def table(ratios: Sequence[Ratio], title: str) -> Table:
    """All figures with their targets; below the table, the meaning of each.

    ``/ threads`` is the share divided by the thread pool's.
    """
    meanings = dict.fromkeys(f"{ratio.figure}: {ratio.meaning}" for ratio in ratios)
    result = Table(title=title, title_justify="left", caption="\n".join(meanings), caption_justify="left")
    for heading in ("figure", "who"):
        result.add_column(heading, no_wrap=True)
    for heading in ("value", "target", "busy", "/ threads"):
        result.add_column(heading, justify="right", no_wrap=True)
    threads = {ratio.figure: ratio.value for ratio in ratios if ratio.who == _PEER}
    previous = None
    for ratio in ratios:
        subject = ratio.figure.partition(":")[0]
        if subject != previous:
            result.add_section()
        previous = subject
        busy = "" if ratio.busy is None else f"{ratio.busy:.3f}"
        beside = f"{ratio.value / threads[ratio.figure]:.2f}" if ratio.figure in threads else ""
        result.add_row(ratio.figure, ratio.who, _number(ratio.value), _target(ratio), busy, beside)
    return result


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3f}"


def _target(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f"{ratio.target} {'✓' if ratio.target.met_by(ratio.value) else '✗'}"


def announce(console: Console, record: Record) -> Record:
    """Wrap ``record``, so that each measurement also prints a line."""

    def both(numbers: Mapping[str, Any]) -> None:
        record(numbers)
        what = ", ".join(str(numbers[key]) for key in ("figure", "who") if key in numbers)
        skipped = f"skipped: {what}: {numbers['skipped']}" if "skipped" in numbers else None
        console.print(skipped or f"measured: {what}", style="dim", markup=False)

    return both
