"""The share of the ideal wall time, compared with the usual pools, which do the same edits; and the device time lost
per pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.peer_processes import run_apart
from scripts.bench.peers import (
    PREFETCHING,
    PREFETCHING_KEEPING,
    THREADS,
    missing,
    thread_pool,
    thread_pool_keeping,
    thread_pool_with_codecs,
)
from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings, Target, at_least, at_most
from scripts.bench.timing import Span, Throughput, ideal_wall, throughput
from scripts.bench.workplace import Workplace
from workers.models.simulation import Simulation

POOL = "six"
REWARD = {"device": "cpu", "latency_ms": 0, "batch_size": 16}
SWAP = {"scheduler": {"residency": "swap"}}
"""Scores come after the edits, so that they do not affect the edits' figures: the peers do not score."""

FREE, BARRIERS = "warmbench, no barrier", "warmbench, barriers"
SHARE = "the ideal wall / the wall until the last image is delivered"

Contender = Callable[[], tuple[list[Span], Mapping[str, Any]]]


@dataclass(frozen=True)
class Task:
    """The edits that every contender does; ``parameters`` are those of the simulated devices."""

    figure: str
    data: PictureBenchmark
    parameters: Mapping[str, Any]
    settings: Settings
    limit: int | None = None

    @property
    def ideal_seconds(self) -> float:
        """The wall time if only the devices took time."""
        simulation = Simulation(**self.parameters)
        size = (self.settings.image_size, self.settings.image_size)
        keys = list(self.data.pairs)[: self.limit]
        return ideal_wall([simulation.edit_seconds(key, size) for key in keys], self.settings.editors)


def measure_throughput(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Equal times, without and with barriers."""
    task = Task("throughput", data, {"latency_ms": settings.latency_ms}, settings)
    contenders = {**_product(place, task, FREE, BARRIERS), **_peers(place, task, record)}
    results = _measure(place, task, contenders, record)
    return [*_shares(task, results, {FREE: at_least(0.99), BARRIERS: at_least(0.95)}), *_losses(task, results)]


def measure_long(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Barriers, with edits of one second, as long as the fastest real ones."""
    pairs = min(len(data.pairs), settings.editors * settings.long_rounds)
    task = Task("long-edits", data, {"latency_ms": settings.long_latency_ms}, settings, pairs)
    results = _measure(place, task, _product(place, task, BARRIERS), record)
    return _shares(task, results, {BARRIERS: at_least(0.985)})


def measure_spread(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Log-normal times, without barriers."""
    parameters = {"latency_ms": settings.spread_latency_ms, "sigma": settings.spread_sigma}
    task = Task("spread", data, parameters, settings)
    contenders = {**_product(place, task, FREE), **_peers(place, task, record)}
    results = _measure(place, task, contenders, record)
    return _shares(task, results, {FREE: at_least(0.98)})


def spans_of(run: FinishedRun) -> list[Span]:
    """When each edit was on its device, and when its image got its name on disk (the file's change time)."""
    spans = []
    for row in run.of("edited"):
        image = run.folder / Path(row["image"])
        spans.append(Span(row["started"], row["finished"], image.stat().st_ctime))
    return spans


def _product(place: Workplace, task: Task, *names: str) -> dict[str, Contender]:
    limit = () if task.limit is None else ("--limit", str(task.limit))

    def contender(name: str) -> Contender:
        editor = {**task.settings.devices, **task.parameters, "enable_batch_sync": name == BARRIERS}

        def run() -> tuple[list[Span], Mapping[str, Any]]:
            options = ("--keep-warm", "--no-launch", *limit)
            finished = place.run(task.data.path, *options, pool=POOL, editor=editor, reward=REWARD, sections=SWAP)
            return spans_of(finished), finished.report["performance"]["edit"]

        return run

    return {name: contender(name) for name in names}


def _peers(place: Workplace, task: Task, record: Record) -> dict[str, Contender]:
    given = (task.data.pairs, task.parameters, task.settings.editors)
    contenders: dict[str, Contender] = {
        THREADS: lambda: (thread_pool(*given), {}),
        PREFETCHING: lambda: (thread_pool_with_codecs(*given), {}),
        PREFETCHING_KEEPING: lambda: (thread_pool_keeping(*given, place.folder / "p-kept"), {}),
    }

    def apart(peer: str) -> Contender:
        return lambda: (run_apart(place, peer, task.data.path, task.parameters, task.settings.editors), {})

    for peer in task.settings.peers:
        reason = missing(peer)
        if reason is None:
            contenders[peer] = apart(peer)
        else:
            record({"figure": task.figure, "who": peer, "skipped": reason})
    return contenders


def _measure(
    place: Workplace, task: Task, contenders: Mapping[str, Contender], record: Record
) -> Mapping[str, Sequence[Throughput]]:
    results: dict[str, list[Throughput]] = {name: [] for name in contenders}
    for number in range(task.settings.repeat):
        for name in _in_turns(list(contenders), number):
            spans, report = contenders[name]()
            result = throughput(spans, task.settings.editors, task.ideal_seconds)
            results[name].append(result)
            record({"figure": task.figure, "who": name, "repeat": number, **result.as_dict(), "report": report})
            place.clear()
    return results


def _in_turns(names: Sequence[str], number: int) -> Sequence[str]:
    """Rotate the names, so that none always follows the same other one."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _shares(task: Task, results: Mapping[str, Sequence[Throughput]], targets: Mapping[str, Target]) -> list[Ratio]:
    best = {name: max(runs, key=lambda run: run.share) for name, runs in results.items()}
    return [
        Ratio(task.figure, name, run.share, SHARE, busy=run.busy, target=targets.get(name))
        for name, run in best.items()
    ]


def _losses(task: Task, results: Mapping[str, Sequence[Throughput]]) -> list[Ratio]:
    """The device time lost per pair, compared with the best peers that work ahead and that do not."""
    lost = {name: min(run.lost_per_pair for run in runs) for name, runs in results.items()}
    ours = lost.pop(FREE)
    ahead, keeping = lost.pop(PREFETCHING), lost.pop(PREFETCHING_KEEPING)
    lost.pop(BARRIERS, None)
    best = min(lost.values())
    figure = f"{task.figure}: lost"
    meaning = "device time lost per pair, warmbench without barriers / a peer; less is better"
    return [
        Ratio(figure, "beside the best other peer", ours / best, meaning, target=at_most(0.2)),
        Ratio(figure, f"beside {PREFETCHING}", ours / ahead, meaning, target=at_most(1.0)),
        Ratio(figure, f"beside {PREFETCHING_KEEPING}", ours / keeping, meaning),
    ]
