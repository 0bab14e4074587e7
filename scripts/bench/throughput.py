"""Figures 1 and 2: what part of the ideal wall time is left, beside pools of threads that do the same edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.peers import thread_pool, thread_pool_with_codecs
from scripts.bench.pictures import PictureBenchmark
from scripts.bench.settings import EDITORS, IMAGE_SIZE, Ratio, Record, Settings
from scripts.bench.timing import Span, Throughput, ideal_wall, throughput
from scripts.bench.workplace import FinishedRun, Workplace
from workers.simulation import Simulation

POOL = "six"
CPUS = {"device_ids": ["cpu"] * EDITORS}
REWARD = {"device": "cpu", "latency_ms": 0, "batch_size": 16}
SWAP = {"scheduler": {"residency": "swap"}}
"""Scores come after the edits, so that what is measured of the edits is theirs alone: the peers do not score."""

Contender = Callable[[], tuple[list[Span], Mapping[str, Any]]]


@dataclass(frozen=True)
class Task:
    """The same edits for every contender: ``parameters`` are those of the simulated devices."""

    figure: str
    data: PictureBenchmark
    parameters: Mapping[str, Any]

    @property
    def ideal_seconds(self) -> float:
        """The wall time if nothing but the devices took any."""
        simulation = Simulation(**self.parameters)
        size = (IMAGE_SIZE, IMAGE_SIZE)
        return ideal_wall([simulation.edit_seconds(key, size) for key in self.data.pairs], EDITORS)


def measure_throughput(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Figure 1: equal times, without and with barriers."""
    task = Task("throughput", data, {"latency_ms": settings.latency_ms})
    return _measure(place, task, settings.repeat, record, barriers=True)


def measure_spread(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Figure 2: log-normal times, without barriers."""
    parameters = {"latency_ms": settings.spread_latency_ms, "sigma": settings.spread_sigma}
    return _measure(place, Task("spread", data, parameters), settings.repeat, record, barriers=False)


def spans_of(run: FinishedRun) -> list[Span]:
    """When each edit was on its device, and when its image got its name on disk (the change time of the file)."""
    spans = []
    for row in run.of("edited"):
        image = run.folder / Path(row["image"])
        spans.append(Span(row["started"], row["finished"], image.stat().st_ctime))
    return spans


def _measure(place: Workplace, task: Task, repeat: int, record: Record, *, barriers: bool) -> list[Ratio]:
    def product(*, synchronized: bool) -> tuple[list[Span], Mapping[str, Any]]:
        editor = {**CPUS, **task.parameters, "enable_batch_sync": synchronized}
        run = place.run(
            task.data.path, "--keep-warm", "--no-launch", pool=POOL, editor=editor, reward=REWARD, sections=SWAP
        )
        return spans_of(run), run.report["performance"]["edit"]

    contenders: dict[str, Contender] = {"warmbench, no barrier": lambda: product(synchronized=False)}
    if barriers:
        contenders["warmbench, barriers"] = lambda: product(synchronized=True)
    contenders["thread pool"] = lambda: (thread_pool(task.data.pairs, task.parameters, EDITORS), {})
    contenders["thread pool + codec pool"] = lambda: (
        thread_pool_with_codecs(task.data.pairs, task.parameters, EDITORS),
        {},
    )
    found: dict[str, list[Throughput]] = {name: [] for name in contenders}
    for number in range(repeat):
        for name in _in_turns(list(contenders), number):
            spans, report = contenders[name]()
            one = throughput(spans, EDITORS, task.ideal_seconds)
            found[name].append(one)
            record({"figure": task.figure, "who": name, "repeat": number, **one.as_dict(), "report": report})
            place.clear()
    return [_ratio(task.figure, name, found[name]) for name in contenders]


def _in_turns(names: Sequence[str], number: int) -> Sequence[str]:
    """Another one begins each time, so that none is always behind the same other one."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _ratio(figure: str, who: str, found: Sequence[Throughput]) -> Ratio:
    best = max(found, key=lambda one: one.share)
    return Ratio(figure, who, best.share, "the ideal wall / the wall until the last image is delivered", busy=best.busy)
