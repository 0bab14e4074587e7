"""Whether the scheduler becomes slower, or needs more memory, in a long run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from scripts.bench.memory import peak_memory
from scripts.bench.pictures import picture, write_pairs
from scripts.bench.runs import ActiveRun, BenchError
from scripts.bench.settings import Ratio, Record, Settings, at_most
from scripts.bench.throughput import REWARD
from scripts.bench.workplace import Workplace
from workers.codecs import encode_png

_SIDE = 64
_DISTINCT = 16
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Sample:
    """At one time of the run: pairs scored so far, the scheduler's CPU seconds so far, and its peak memory."""

    seconds: float
    pairs: int
    cpu_seconds: float
    peak_bytes: int


def measure_endurance(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """The scheduler's CPU seconds per pair in a run whose edits and scores take no time."""
    images = [encode_png(picture(number, _SIDE)) for number in range(_DISTINCT)]
    data = write_pairs(place.folder / "endless.json", [settings.endless_pairs], images)
    editor = {**settings.devices, "latency_ms": 0, "enable_batch_sync": False}
    keep_none = {"evaluation": {"save_generated_images": False}}
    run = place.start_run(data.path, pool="endless", editor=editor, reward=REWARD, sections=keep_none)
    samples = _watch(run)
    place.clear()
    data.path.unlink()
    for sample in samples[:: max(1, len(samples) // 100)]:
        record({"figure": "endurance", **vars(sample)})
    ratio = slowdown(samples, settings.endless_beginning)
    name = f"{settings.endless_pairs} pairs"
    first = settings.endless_beginning
    meaning = f"the scheduler's CPU time per pair, those after the first {first} / those; less is better"
    done = _done(samples)
    return [
        Ratio("endurance", name, ratio, meaning, target=at_most(1.2)),
        Ratio("endurance: time", name, done.cpu_seconds / done.pairs * 1000, "ms of the scheduler's CPU per pair"),
        Ratio("endurance: memory", "until the last score", done.peak_bytes / 1e6, "MB, the scheduler's peak"),
        Ratio("endurance: memory", "with the report", samples[-1].peak_bytes / 1e6, "MB, the scheduler's peak"),
    ]


def slowdown(samples: Sequence[Sample], beginning: int) -> float:
    """CPU seconds per pair after the first ``beginning`` pairs, divided by those of the first ``beginning`` pairs.

    The time before the first pair (reading the benchmark) and after the last one (the report) does not count.

    Raises:
        BenchError: there are too few samples.
    """
    started = [sample for sample in samples if sample.pairs]
    early = [sample for sample in started if sample.pairs <= beginning]
    if len(early) < 2 or started[-1].pairs <= early[-1].pairs:
        raise BenchError("too few samples: the run was too short")
    first, middle, last = early[0], early[-1], _done(started)
    return _per_pair(middle, last) / _per_pair(first, middle)


def _done(samples: Sequence[Sample]) -> Sample:
    """The first sample with the final number of pairs; the report comes after it."""
    return next(sample for sample in samples if sample.pairs == samples[-1].pairs)


def _per_pair(earlier: Sample, later: Sample) -> float:
    return (later.cpu_seconds - earlier.cpu_seconds) / (later.pairs - earlier.pairs)


def _watch(run: ActiveRun) -> Sequence[Sample]:
    process, samples, started = psutil.Process(run.process.pid), [], time.monotonic()
    ledger, offset, pairs = None, 0, 0
    while run.process.poll() is None:
        time.sleep(_SAMPLE_SECONDS)
        ledger = ledger or next(run.output.glob("runs/*/results.jsonl"), None)
        if ledger is None:
            continue
        with ledger.open("rb") as file:
            file.seek(offset)
            while block := file.read(1 << 20):
                # Rarely, the end of a block cuts a row in two, and it is missed: one in thousands.
                pairs += block.count(b'"event":"scored"')
                offset += len(block)
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu = times.user + times.system
            if peak := peak_memory(process.pid):
                samples.append(Sample(time.monotonic() - started, pairs, cpu, peak))
    run.wait()
    return samples
