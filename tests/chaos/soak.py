"""A long run of many tiny pairs: whether memory or open files grow with every pair. ``python -m tests.chaos soak``.

A real ``warmbench run`` of simulated models with a millisecond of work each is watched from outside. Memory is what a
process has written to (``Private_Dirty``): the USS without the pages of libraries, which count as one's own as soon as
nobody else on the machine has the same library open, and as shared again when somebody has. Open files are the fewest
of a few looks, for one that is open for a moment is no leak either.

What is taken of the scheduler: *loaded* is when it says ``Loaded N image pairs``, when nothing is connected or launched
yet; *last* is the last look after which the ledger still has no row of the score stage's end, which comes before the
reports. In between it is looked at after every hundredth of all edits and scores, the workers too. Connections, threads
and buffers are a constant that is the same for any number of pairs: so the growth is told in two ways, since the
loading (which is what the limit is about) and per pair since a tenth of the way.

With ``--swap`` nobody scores before all edits are made. What is kept of an edit that waits is allowed for, and
processes are compared with what they were at three fifths of the way, when the rewards are at work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import psutil
from PIL import Image

from tests.harness import User, encoded, new_user, pair

PAIRS = 50_000
BYTES_PER_PAIR = 100
"""How much the scheduler may grow for each pair after the benchmark is loaded, in a run of ``PAIRS`` pairs."""

CONSTANT = 6 << 20
"""How much it may grow in a shorter run, where threads, connections and the interpreter's own tables count for more."""

BYTES_PER_WAITING_EDIT = 250
"""How much an edit may take in the scheduler until a reward comes for it."""

WORKER_GROWTH = 0.15
"""By which share a worker's memory may differ at the end from what it was at a tenth of the way."""

FILES_IN_USE = 12
"""Images are opened for a moment, by four threads that read them and eight that write: that is no growth."""

_LOOKS = 50
_PAUSE_SECONDS = 0.02
_DESCRIPTOR_LOOKS = 5
_CATEGORIES = ("物理", "spatial")


@dataclass(frozen=True)
class Look:
    """A process at one moment: edits and scores done, seconds since the start of the run, bytes of memory."""

    edited: int
    scored: int
    seconds: float
    memory: int
    descriptors: int

    @property
    def done(self) -> float:
        """Pairs done; an edit without a score counts half."""
        return (self.edited + self.scored) / 2


@dataclass
class Soak:
    """What was seen of a run: the looks at each process, in order, and how the run ended."""

    pairs: int
    swap: bool
    loaded: Look
    looks: dict[str, list[Look]] = field(default_factory=dict)
    code: int = -1
    scored: int = 0
    output: str = ""

    def at(self, name: str, share: float) -> Look:
        """The process at this share of the way: the first look from there on."""
        looks = self.looks[name]
        return next((look for look in looks if look.done >= share * self.pairs), looks[-1])

    @property
    def growth(self) -> int:
        """Bytes by which the scheduler has grown since it loaded the benchmark."""
        return self.looks["scheduler"][-1].memory - self.loaded.memory

    @property
    def bytes_per_pair(self) -> float:
        """What each pair since all are at work has added to the scheduler."""
        early, late = self.at("scheduler", self._under_way), self.looks["scheduler"][-1]
        return (late.memory - early.memory) / max(1, late.done - early.done)

    def milliseconds_per_pair(self, begin: float, end: float) -> float:
        """Wall time per pair between two shares of the way."""
        first, last = self.at("scheduler", begin), self.at("scheduler", end)
        return 1000 * (last.seconds - first.seconds) / max(1, last.done - first.done)

    @property
    def allowed(self) -> int:
        """How many bytes the scheduler may have more in the end."""
        base = self.pairs * BYTES_PER_PAIR if self.pairs >= PAIRS else CONSTANT
        return base + self.swap * self.pairs * BYTES_PER_WAITING_EDIT

    @property
    def _under_way(self) -> float:
        return 0.6 if self.swap else 0.1

    def descriptors(self, name: str) -> tuple[int, int]:
        """The fewest open files when all are at work, and late."""
        begin = self._under_way
        early = [look.descriptors for look in self.looks[name] if 0 <= look.done / self.pairs - begin <= 0.25]
        late = [look.descriptors for look in self.looks[name] if look.done / self.pairs >= 0.75]
        return min(early, default=0), min(late, default=0)

    def problems(self) -> Iterator[str]:
        """Problems that do not depend on the number of pairs."""
        if self.code != 0 or self.scored != self.pairs:
            yield f"the run ended with code {self.code} and {self.scored} of {self.pairs} pairs scored"
        for name in self.looks:
            early, late = self.descriptors(name)
            if late > early + FILES_IN_USE:
                yield f"{name}: {early} open files at first, {late} at last"
            before, after = self.at(name, self._under_way).memory, self.looks[name][-1].memory
            if name != "scheduler" and abs(after - before) > WORKER_GROWTH * before:
                yield f"{name}: {_mib(before):.1f} MiB when all were at work, {_mib(after):.1f} MiB at the end"


def main(arguments: Sequence[str]) -> int:
    """Run, print what was seen, and return 1 if something grew that should not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos soak", description="A long run of many tiny pairs.")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--barriers", action="store_true", help="rounds with barriers; else the editors run free")
    parser.add_argument("--swap", action="store_true", help="all edits wait for the rewards until the last is made")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, new_user(Path(folder)) as place:
        data = write_pairs(Path(folder) / "pairs.json", options.pairs)
        soak = watch(place, data, options.pairs, barriers=options.barriers, swap=options.swap)
    problems = list(soak.problems())
    if soak.growth > soak.allowed:
        problems.append(f"scheduler: {soak.growth} bytes more than when it had loaded, {soak.allowed} are allowed")
    print(table(soak))
    if soak.code != 0:
        print(soak.output)
    for problem in problems:
        print(f"WRONG: {problem}")
    print(summary(soak, passed=not problems))
    return 1 if problems else 0


def write_pairs(path: Path, count: int) -> Path:
    """Write a benchmark of ``count`` images of 64x64 pixels, each with its own colour and corner."""
    with path.open("w", encoding="utf-8") as file:
        for place, category in enumerate(_CATEGORIES):
            file.write(f"{'{' if place == 0 else ','}{json.dumps(category)}:[")
            for number in range(place, count, len(_CATEGORIES)):
                image = Image.new("RGB", (64, 64), (number >> 16, number >> 8 & 255, number & 255))
                item = pair(f"{number:06d}", encoded(image, compress_level=1))
                file.write(("," if number >= len(_CATEGORIES) else "") + json.dumps(item))
            file.write("]")
        file.write("}")
    return path


def config(place: User, data: Path, *, barriers: bool, swap: bool) -> Path:
    """Four editors and a reward that keeps up with them."""
    return place.simulated(
        data,
        editor={"device_ids": ["cpu"] * 4, "latency_ms": 1, "enable_batch_sync": barriers},
        reward={"latency_ms": 1, "batch_size": 32},
        evaluation={"save_generated_images": False},
        # The machine may be busy for a while; that must not make a worker count as dead.
        scheduler={"residency": "swap" if swap else "resident", "round_size": 4, "dead_after_seconds": 60},
    )


def watch(place: User, data: Path, pairs: int, *, barriers: bool = False, swap: bool = False) -> Soak:
    """Run the benchmark and look at all processes of the run until it ends."""
    began = time.monotonic()
    started = place.start("run", "--config", config(place, data, barriers=barriers, swap=swap))
    with started as process, contextlib.closing(_Ledger(place)) as ledger:
        assert process.stdout is not None
        scheduler = psutil.Process(process.pid)
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "Loaded" in line:
                break
        soak = Soak(pairs, swap, _look(scheduler, 0, 0, began))
        reader = threading.Thread(target=said.extend, args=(process.stdout,))
        reader.start()
        ahead = 0
        while process.poll() is None:
            ledger.read()
            if ledger.done >= ahead and ledger.edited and not ledger.over:
                ahead = ledger.done + pairs // _LOOKS
                _look_at_all(place, soak, scheduler, ledger, began)
            time.sleep(_PAUSE_SECONDS)
        reader.join()
        ledger.read()
    soak.code, soak.output, soak.scored = process.returncode, "".join(said), ledger.scored
    return soak


class _Ledger:
    """The run's ledger, read as it grows. ``over``: scoring has ended."""

    def __init__(self, place: User) -> None:
        self._place = place
        self._file: BinaryIO | None = None
        self._rest = b""
        self.edited = self.scored = 0
        self.over = False

    @property
    def done(self) -> int:
        """Edits and scores together: half of it is the number of pairs, if none waits."""
        return self.edited + self.scored

    def close(self) -> None:
        """Read no more."""
        if self._file is not None:
            self._file.close()

    def read(self) -> None:
        """Count what has come."""
        if self._file is None:
            try:
                self._file = (self._place.run_folder() / "results.jsonl").open("rb")
            except (OSError, ValueError):
                return  # the run has not begun
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            self.edited += b'"event":"edited"' in line
            self.scored += b'"event":"scored"' in line
            self.over |= b'"event":"stage","stage":"score"' in line


def _look_at_all(place: User, soak: Soak, scheduler: psutil.Process, ledger: _Ledger, began: float) -> None:
    processes = {"scheduler": scheduler}
    for card in place.home.glob("*/*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            processes[card.stem.replace("pool", "launcher")] = psutil.Process(json.loads(card.read_bytes())["pid"])
    found: dict[str, Look] = {}
    for name, process in processes.items():
        with contextlib.suppress(psutil.Error):
            found[name] = _look(process, ledger.edited, ledger.scored, began)
    ledger.read()
    if ledger.over:
        return  # they may have begun to end, or to write reports, while they were looked at
    for name, look in found.items():
        soak.looks.setdefault(name, []).append(look)


def _look(process: psutil.Process, edited: int, scored: int, began: float) -> Look:
    descriptors = min(process.num_fds() for _ in range(_DESCRIPTOR_LOOKS))
    return Look(edited, scored, time.monotonic() - began, _dirty(process.pid), descriptors)


def _dirty(pid: int) -> int:
    """The bytes that the process has written to and shares with nobody; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))


# -- what is shown


def table(soak: Soak) -> str:
    """How everybody stood at each tenth of the way: MiB, open files, how many edits wait for a score."""
    names = sorted(soak.looks)
    lines = ["   done   waiting  seconds  ms/pair  " + "".join(f"{name:>16}" for name in names)]
    for tenth in range(11):
        here = soak.at("scheduler", tenth / 10)
        speed = soak.milliseconds_per_pair(max(0.0, (tenth - 1) / 10), tenth / 10)
        stood = [soak.at(name, tenth / 10) for name in names]
        lines.append(
            f"{here.done:7.0f} {here.edited - here.scored:9d} {here.seconds:8.1f} {speed:8.2f}  "
            + "".join(f"{_mib(look.memory):>11.1f} {look.descriptors:4d}" for look in stood)
        )
    return "\n".join(lines)


def summary(soak: Soak, *, passed: bool) -> str:
    """The result, in one line."""
    return (
        f"{'PASS' if passed else 'FAIL'}: {soak.pairs} pairs, scheduler {_mib(soak.loaded.memory):.1f} MiB loaded and "
        f"{_mib(soak.growth):+.2f} MiB at the end ({soak.growth / soak.pairs:.0f} bytes a pair; "
        f"{soak.bytes_per_pair:.0f} once all were at work), "
        f"{soak.milliseconds_per_pair(0.0, 0.2):.2f} ms a pair in the first fifth, "
        f"{soak.milliseconds_per_pair(0.8, 1.0):.2f} in the last"
    )


def _mib(size: int) -> float:
    return size / 2**20
