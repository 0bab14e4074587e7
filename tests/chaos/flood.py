"""``python -m tests.chaos flood``: strangers send what they like to a worker, then to the launcher, while a run works.

What they send: random bytes, messages that are wrong in one place, whole messages in the name of the run, of the
launcher and of nobody, Hellos of other protocols, other lives, the run itself, and of a crowd of new runs. The run has
to give what it gives undisturbed; nobody else may have a job done, move or load a model, end the run or the pool.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgpack
import msgspec
import psutil
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.pool import read_pool_card, read_worker_cards
from protocol.sockets import Link
from tests.harness import TIMEOUT, User, new_user, small_benchmark
from tests.protocol.struct_types import mutants, sample
from tests.waiting import wait_until

Target = Literal["worker", "launcher"]

_MOST_GROWTH = 20 * 2**20
_MOST_LOG = 64 * 1024
_PER_CONNECTION = 2000
_CROWD = 1000
_SAMPLES = 2000
_MOST_BYTES = 100_000
"""The largest message: larger ones would measure the allocator, and have their own test."""


@dataclass(frozen=True)
class Work:
    """A run that is over: its wall in seconds, and what it made of each pair."""

    wall: float
    code: int
    output: str
    results: dict[str, tuple[str, float | None]]


def main(arguments: list[str]) -> int:
    """Flood; 1 if anything is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos flood", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many at each target")
    parser.add_argument("--pairs", type=int, default=150, help="how many the run has in each of two categories")
    parser.add_argument("--latency-ms", type=float, default=60, help="how long an edit takes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="flood-") as folder, new_user(Path(folder)) as user:
        config = user.simulated(
            small_benchmark(Path(folder) / "data.json", pairs=options.pairs),
            editor={"latency_ms": options.latency_ms},
            pool={"name": "flood"},
        )
        started = user.run("workers", "start", "--config", config)
        if started.code != 0:
            print(started.output)
            return 1
        alone = _work(user, config)
        print(f"undisturbed: {len(alone.results)} pairs in {alone.wall:.1f} s")
        if alone.code != 0:
            wrong.append(f"the undisturbed run ended with {alone.code}:\n{alone.output}")
        for target in get_args(Target):
            wrong += _flooded(user, config, alone, target, options.messages, random.Random(options.seed))  # noqa: S311
        stopped = user.run("workers", "stop", "--config", config)
        if stopped.code != 0:
            wrong.append(f"the pool did not end: {stopped.output}")
    for line in wrong:
        print(f"WRONG: {line}")
    print("nobody got in" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


def _flooded(user: User, config: Path, alone: Work, target: Target, messages: int, chance: random.Random) -> list[str]:
    """The same run while its worker or launcher is flooded: prints what it cost, returns what is wrong."""
    folder = user.home / "flood"
    with _watcher(folder) as watcher:
        before, edits = watcher.status(), _edits(folder)
        victim = _victim(folder, target)
        memory, cpu, logs = victim.memory_info().rss, _seconds(victim), _log_bytes(folder)
        process = user.start("run", "--config", config)
        began = time.monotonic()
        wait_until(lambda: watcher.status().holders)
        run = watcher.status().holders[0]
        flood = _Flood(folder, target, run, chance)
        flood.send(messages)
        flood_seconds, during = time.monotonic() - began, process.poll() is None
        output, _ = process.communicate(timeout=TIMEOUT)
        work = _result(user, time.monotonic() - began, process.returncode, output)
        flood.close()
        grown, logged = victim.memory_info().rss - memory, _log_bytes(folder) - logs
        after, edits = watcher.status(), _edits(folder) - edits
    spent = (_seconds(victim) - cpu) / messages * 1e6
    still = "worked" if during else "was over"
    print(
        f"{target}: {messages:,} messages in {flood_seconds:.1f} s (the run {still} when the last one was sent); wall "
        f"{work.wall:.1f} s, {work.wall / alone.wall:.2f} of the undisturbed one; memory {grown / 2**20:+.1f} MB, "
        f"log {logged / 1024:+.1f} KB; {spent:.0f} µs of the {target}'s CPU for each message, its work included"
    )
    return [f"{target}: {text}" for text in _wrong(alone, work, before, after, edits, grown, logged)]


def _wrong(
    alone: Work, work: Work, before: m.PoolStatus, after: m.PoolStatus, edits: int, grown: int, logged: int
) -> Iterator[str]:
    if work.code != 0:
        yield f"the run ended with {work.code}:\n{work.output}"
    if "Traceback" in work.output:
        yield f"a traceback:\n{work.output}"
    if work.results != alone.results:
        yield f"{sum(alone.results[key] != work.results.get(key) for key in alone.results)} results are others"
    lives = [[(worker.worker_id, worker.incarnation, worker.pid) for worker in one.workers] for one in (before, after)]
    if lives[0] != lives[1]:
        yield f"workers died: {lives[0]} became {lives[1]}"
    if [worker.spec for worker in before.workers] != [worker.spec for worker in after.workers]:
        yield "a model was loaded"
    if any(worker.state is None or worker.state.residency != "device" for worker in after.workers):
        yield "a model was moved"
    if edits != len(alone.results):
        yield f"{edits} edits were made for a run of {len(alone.results)}"
    if after.holders or after.waiting or after.stopping or not after.keep:
        yield f"the pool is not as it was: {after.holders}, {after.waiting}, {after.stopping}, {after.keep}"
    if grown >= _MOST_GROWTH:
        yield f"it took {grown / 2**20:.1f} MB more"
    if logged >= _MOST_LOG:
        yield f"the logs grew by {logged / 1024:.1f} KB"


# -- the run ---------------------------------------------------------------------------------------------------------


def _work(user: User, config: Path) -> Work:
    began = time.monotonic()
    result = user.run_config(config)
    return _result(user, time.monotonic() - began, result.code, result.output)


def _result(user: User, wall: float, code: int, output: str) -> Work:
    if code not in (0, 3):
        return Work(wall, code, output, {})
    hashes = user.hashes()
    scores = {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}
    return Work(wall, code, output, {key: (hashes.get(key, ""), score) for key, score in scores.items()})


# -- the flood -------------------------------------------------------------------------------------------------------


class _Flood:
    """Strangers, one after the other, each on its own connection."""

    def __init__(self, folder: Path, target: Target, run: str, chance: random.Random) -> None:
        self._chance = chance
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        (card,) = [card for card in read_worker_cards(folder) if card.worker_id == "editor-0"]
        pool = read_pool_card(folder)
        assert pool is not None
        self._endpoint = card.endpoint if target == "worker" else pool.endpoint
        # Who has said Hello in a name of its own may use the pool, that is what a Hello is for: those that do, order
        # nothing here, and those that order have said none.
        self._kinds = (list(_orders(run, card.incarnation, chance)), list(_hellos(run, card.incarnation, chance)))
        self._old: list[zmq.Socket[bytes]] = []

    def send(self, count: int) -> None:
        """Send this many messages, as fast as they are accepted."""
        for number in range(count):
            if number % _PER_CONNECTION == 0:
                socket, messages = self._connect(), self._chance.choice(self._kinds)
            socket.send_multipart(self._chance.choice(messages))

    def _connect(self) -> zmq.Socket[bytes]:
        # A few stay and never read; the others go, once what they have sent is taken.
        if len(self._old) > 20:
            self._old.pop(0).close(60_000)
        socket = self._context.socket(zmq.DEALER)
        socket.connect(self._endpoint)
        self._old.append(socket)
        return socket

    def close(self) -> None:
        """Go."""
        for socket in self._old:
            socket.close(0)
        self._context.destroy(0)


def _orders(run: str, incarnation: str, chance: random.Random) -> Iterator[list[bytes]]:
    """Noise, messages with one wrong field, and valid messages in the name of others."""
    kinds: tuple[type[m.Message], ...] = tuple(kind for kind in get_args(m.AnyMessage) if kind is not m.Hello)
    broken = []
    for kind in kinds:
        frames = [b"image"] * msgspec.convert(sample(_struct(kind)), kind).image_frames
        broken += [[_pack(wrong), *frames] for _, wrong in mutants(_struct(kind))]
    broken = [frames for frames in broken if len(frames[0]) < _MOST_BYTES]
    for _ in range(_SAMPLES):
        yield [chance.randbytes(chance.randrange(300)) for _ in range(chance.randrange(1, 4))]
        yield chance.choice(broken)
        kind = chance.choice(kinds)
        whole = sample(_struct(kind)) | {"run": chance.choice([run, "launcher", "nobody"])}
        whole |= {"incarnation": chance.choice([incarnation, "any"])}
        whole |= {"epoch": chance.choice([0, 1, 2**40])} if "epoch" in whole else {}
        yield [_pack(whole), *[b"image"] * msgspec.convert(whole, kind).image_frames]


def _hellos(run: str, incarnation: str, chance: random.Random) -> Iterator[list[bytes]]:
    """In the run's own name, to other lives, of another protocol, broken, and of a crowd."""
    broken = [wrong for _, wrong in mutants(_struct(m.Hello))]
    for _ in range(_SAMPLES):
        yield [_pack(_hello(run=run, incarnation=incarnation))]
        yield [_pack(_hello(run="nobody", incarnation="another", protocol_version=chance.randrange(3)))]
        yield [_pack(_hello(run=f"crowd-{chance.randrange(_CROWD)}", incarnation=incarnation))]
        yield [_pack(chance.choice(broken))]


def _hello(**fields: Any) -> dict[str, Any]:
    hello = {"type": "Hello", "protocol_version": PROTOCOL_VERSION, "version": VERSION}
    return hello | {"heartbeat_seconds": 0.001, "dead_after_seconds": 5.0} | fields


def _struct(kind: type[m.Message]) -> msgspec.inspect.StructType:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return info


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


# -- the pool --------------------------------------------------------------------------------------------------------


class _Watcher:
    """A client of the launcher that only looks."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def status(self) -> m.PoolStatus:
        """The present status of the pool."""
        while self._link.socket.poll(0):
            self._link.receive()
        # Each time again: a crowd of runs may have displaced a client that only reads.
        self._link.send(m.Hello(run="watcher", incarnation="any", protocol_version=PROTOCOL_VERSION, version=VERSION))
        while True:
            assert self._link.socket.poll(30_000), "the launcher is silent"
            received = self._link.receive()
            if received is not None and isinstance(received[0], m.PoolStatus):
                return received[0]


@contextmanager
def _watcher(folder: Path) -> Iterator[_Watcher]:
    card = read_pool_card(folder)
    assert card is not None
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    link = Link(context, card.endpoint)
    try:
        yield _Watcher(link)
    finally:
        link.close()
        context.destroy(0)


def _victim(folder: Path, target: Target) -> psutil.Process:
    if target == "launcher":
        card = read_pool_card(folder)
        assert card is not None
        return psutil.Process(card.pid)
    return psutil.Process(next(card.pid for card in read_worker_cards(folder) if card.worker_id == "editor-0"))


def _edits(folder: Path) -> int:
    """How many edits the pool's editors have made, by their own count, which the launcher hears of a little later."""
    done = 0
    with zmq.Context() as context:
        for card in read_worker_cards(folder):
            if card.role == "editor":
                with Link(context, card.endpoint) as link:
                    fields: dict[str, Any] = {"run": "counter", "incarnation": card.incarnation}
                    link.send(m.Hello(**fields, protocol_version=PROTOCOL_VERSION, version=VERSION))
                    assert link.socket.poll(30_000), f"{card.worker_id} is silent"
                    received = link.receive()
                    assert received is not None
                    assert isinstance(received[0], m.Welcome)
                    done += received[0].state.done
                    link.send(m.Goodbye(**fields))
    return done


def _seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _log_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.log"))
