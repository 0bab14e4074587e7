"""The scheduler is killed at any moment of its life and resumed, and its report compared with an undisturbed run's.

Each run is killed several times and then finished; every second one works on a warm pool. There the workers' own counts
tell how much was done again: for each kill at most what was on the devices or not yet delivered.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from protocol.messages import WorkerStatus
from protocol.pool import read_pool_card
from scheduler.pool.address import PoolAddress
from scheduler.pool.session import PoolSession
from tests.chaos.audit import Case, audit
from tests.chaos.dataset import draw_items, write_items
from tests.chaos.finding import Finding
from tests.chaos.plan import Models, Plan
from tests.chaos.processes import SPARE_DESCRIPTORS, Ended, Observed, count_rows, newest_run, open_descriptors
from tests.chaos.settings import sections, simulation
from tests.harness import User, new_user
from tests.waiting import wait_until

KILLS_PER_RUN = 5
_LIMIT_SECONDS = 120.0
_TRIES = 20
_OF_THIS_LIFE = {"worker", "device", "round", "edit_device_seconds", "batch", "batch_device_seconds"}
"""Fields of a report about who did the work and when: they differ from one attempt to the next."""


@dataclass
class Tally:
    """The result of one run. ``redone`` is None where the edits done again are not counted."""

    kills: int = 0
    at: list[str] = field(default_factory=list)
    redone: int | None = None
    allowed: int = 0
    findings: list[Finding] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """``kills``: 0 if every run ended like an undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos kills")
    parser.add_argument("--moments", type=int, default=50, help="how many kills in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    tallies = []
    for tally in kill_runs(options.moments, options.seed):
        tallies.append(tally)
        redone = "" if tally.redone is None else f", {tally.redone} edits done again (at most {tally.allowed})"
        print(f"run {len(tallies)}: killed {tally.kills} times ({', '.join(tally.at)}){redone}", flush=True)
        for finding in tally.findings:
            print(f"    {finding}", flush=True)
    print(summary(tallies, time.monotonic() - started))
    return 1 if any(tally.findings for tally in tallies) else 0


def summary(tallies: Sequence[Tally], seconds: float) -> str:
    """The summary, in one line."""
    kills = sum(tally.kills for tally in tallies)
    equal = sum(not tally.findings for tally in tallies)
    counted = [tally for tally in tallies if tally.redone is not None]
    return (
        f"{kills} kills in {len(tallies)} runs: {equal} runs ended as undisturbed ones do; on warm pools "
        f"{sum(tally.redone or 0 for tally in counted)} edits were done again after "
        f"{sum(tally.kills for tally in counted)} kills, at most {sum(tally.allowed for tally in counted)} were to be "
        f"expected ({seconds:.0f} s)"
    )


def kill_runs(moments: int, seed: int, per_run: int = KILLS_PER_RUN) -> Iterator[Tally]:
    """Runs with ``moments`` kills in all."""
    dice = random.Random(f"kills {seed}")  # noqa: S311 - repeatable is what it has to be
    number = 0
    while moments > 0:
        yield kill_run(_plan(dice, number), dice, min(per_run, moments))
        moments -= per_run
        number += 1


def kill_run(plan: Plan, dice: random.Random, kills: int) -> Tally:
    """Start a run, kill it ``kills`` times, then finish it."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-kills-"))
    try:
        with new_user(folder) as user:
            return _Victim(plan, user, dice).run(kills)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


class _Victim:
    """A run that is killed, and its undisturbed twin."""

    def __init__(self, plan: Plan, user: User, dice: random.Random) -> None:
        self._plan = plan
        self._user = user
        self._dice = dice
        self._tally = Tally()
        self._output = user.folder / "outputs-killed"
        self._pool = user.home / "bench"
        data = write_items(user.folder / "bench.json", plan.items)
        self._config = user.config("bench", **sections(plan, data, Counter()))
        self._units = sum(item.bad is None for item in plan.items) * plan.samples

    def run(self, kills: int) -> Tally:
        twin = self._user.folder / "outputs-undisturbed"
        if self._plan.warm:
            self._user.run("workers", "start", "--config", self._config)
        life = self._undisturbed(twin, resume=False).seconds
        done, descriptors = self._pool_counts()
        for number in range(kills):
            self._kill(number, life)
        ended = self._undisturbed(self._output, resume=newest_run(self._output) is not None)
        self._compare(twin, ended)
        if self._plan.warm:
            self._count(done, descriptors)
            self._user.run("workers", "stop", "--config", self._config)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._user.left_over() == [], seconds=25)
        for name in self._user.left_over():
            self._find("left_over", name.strip())
        return self._tally

    # -- killing

    def _kill(self, number: int, life: float) -> None:
        """Kill it once: at a moment of its life, amid its work, or when all is done but the report. What it did not
        live to see is drawn anew, since it was not a kill.
        """
        how = ("at", "amid", "amid", "at", "late")[number % 5]
        share = 1.0
        for _ in range(_TRIES):
            process = self._start(self._output, resume=newest_run(self._output) is not None)
            if how == "amid":
                # Not the very last rows: a run that gets to its end has no middle any more.
                rows = self._dice.randint(1, max(1, int(0.6 * self._rows_left())))
                self._until(process, lambda: self._written(process) >= rows)  # noqa: B023
            elif how == "late":
                self._until(process, lambda: "score: finished" in process.text)  # noqa: B023
            seconds = self._dice.uniform(0.0, share * life if how == "at" else 0.05)
            moment = seconds if how == "at" else process.seconds + seconds
            self._until(process, lambda: process.seconds >= moment)  # noqa: B023
            alive = process.running
            with contextlib.suppress(psutil.Error):
                psutil.Process(process.pid).send_signal(signal.SIGKILL)
            ended = process.wait(5)
            if alive and ended.code == -signal.SIGKILL:
                self._tally.kills += 1
                self._tally.at.append(f"{how} {ended.seconds:.2f} s")
                return
            if ended.code not in (0, 3):
                self._find("aborted", f"ended by itself with {ended.code}: {ended.output[-1500:]}")
            # All is done by now: what is left is a short life without a middle.
            share, how = 0.7 * share, "at" if how == "amid" else how
        self._find("hung", f"could not be killed in {_TRIES} tries")

    @staticmethod
    def _until(process: Observed, condition: Callable[[], bool]) -> None:
        """Or until it has ended."""
        wait_until(lambda: condition() or not process.running, seconds=_LIMIT_SECONDS)

    @staticmethod
    def _written(process: Observed) -> int:
        return process.new_rows("edited") + process.new_rows("scored")

    def _rows_left(self) -> int:
        """How many results there are still to come."""
        there = count_rows(newest_run(self._output))
        return self._units * (1 + self._plan.passes) - there["edited"] - there["scored"]

    def _undisturbed(self, output: Path, *, resume: bool) -> Ended:
        ended = self._start(output, resume=resume).wait(_LIMIT_SECONDS)
        if ended.hung:
            self._find("hung", f"did not end in {_LIMIT_SECONDS:g} s: {ended.output[-1500:]}")
        return ended

    def _start(self, output: Path, *, resume: bool) -> Observed:
        arguments: list[str | Path] = ["run", "--config", self._config, "--output-dir", output]
        arguments += ["--keep-warm"] if self._plan.warm else []
        arguments += ["--resume", "latest"] if resume else []
        return Observed(self._user, output, arguments)

    # -- judging

    def _compare(self, twin: Path, ended: Ended) -> None:
        if ended.code not in (0, 3):
            self._find("aborted", f"the last part ended with {ended.code}: {ended.output[-1500:]}")
            return
        editor, reward, seed = simulation(self._plan, Counter())
        case = Case(items=self._plan.items, samples=self._plan.samples, passes=self._plan.passes, seed=seed,
                    editor=editor, reward=reward, keep_images=self._plan.keep_images)  # fmt: skip
        run = newest_run(self._output)
        assert run is not None
        self._tally.findings += audit(case, run, self._output, ended.code)
        self._tally.findings += different(self._report(twin), self._report(self._output))

    def _report(self, output: Path) -> dict[str, Any]:
        self._user.output = output
        return self._user.report()

    def _count(self, done_before: int, descriptors_before: dict[int, int]) -> None:
        done, descriptors = self._pool_counts()
        self._tally.redone = done - done_before - self._units
        each = self._plan.editors.count * (2 * self._plan.round_size + 1)
        self._tally.allowed = self._tally.kills * each
        if not 0 <= self._tally.redone <= self._tally.allowed:
            text = (
                f"{self._tally.redone} edits were done again after {self._tally.kills} kills, more than {each} for each"
            )
            self._find("doubled", text)
        for pid, before in descriptors_before.items():
            now = descriptors.get(pid)
            if now is not None and now > before + SPARE_DESCRIPTORS:
                self._find("left_over", f"worker {pid} has {now} open descriptors, after the first run it had {before}")

    def _pool_counts(self) -> tuple[int, dict[int, int]]:
        """The edits that a warm pool's workers have done, and each worker's open descriptors, once all are idle."""
        card = read_pool_card(self._pool) if self._plan.warm else None
        if card is None:
            return 0, {}
        session = PoolSession(PoolAddress.here("bench", self._pool, card))
        try:
            deadline = time.monotonic() + 20
            editors: list[WorkerStatus] = []
            idle = 0
            while idle < 3 and time.monotonic() < deadline:
                status = session.next_status()
                assert status is not None, "the warm pool has ended"
                busy = any(one.state is None or one.state.running or one.state.runs for one in status.workers)
                idle = 0 if busy else idle + 1
                editors = [one for one in status.workers if one.role == "editor"]
            done = sum(editor.state.done for editor in editors if editor.state is not None)
        finally:
            session.close()
        return done, open_descriptors(self._pool)

    def _find(self, kind: Any, text: str) -> None:
        self._tally.findings.append(Finding(kind, text))


def different(undisturbed: dict[str, Any], killed: dict[str, Any]) -> list[Finding]:
    """What the two reports say differently, but for times, workers and where the report comes from."""
    found = []
    for name in sorted(undisturbed.keys() | killed.keys()):
        if name in ("performance", "provenance"):
            continue
        one, other = _lasting(undisturbed.get(name)), _lasting(killed.get(name))
        if one != other:
            found.append(Finding("miscounted", f"{name} differs from that of an undisturbed run: {_first(one, other)}"))
    return found


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in _OF_THIS_LIFE}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _first(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(f"{a} / {b}" for a, b in zip(one, other, strict=True) if a != b)
    return f"{str(one)[:500]} / {str(other)[:500]}"


def _plan(dice: random.Random, number: int) -> Plan:
    """Every second run uses a warm pool; the others have a pair that always fails and is tried in each part."""
    warm = number % 2 == 1
    items = draw_items(dice, 24, "k")
    good = [item.key for item in items if item.bad is None]
    editors = Models(count=dice.choice((1, 2, 3)), latency_ms=dice.choice((20.0, 40.0)), sigma=0.3, place_seconds=0.05,
                     load_seconds=0.05, faults={} if warm else {"oom": [dice.choice(good)]})  # fmt: skip
    return Plan(
        seed=number,
        items=items,
        second=(),
        editors=editors,
        rewards=replace(editors, count=dice.choice((1, 2)), faults={}),
        placement=dice.choice(("apart", "shared", "swap")),
        synchronized=dice.random() < 0.5,
        round_size=dice.choice((1, 2)),
        batch_size=4,
        samples=dice.choice((1, 2)),
        passes=dice.choice((1, 2)),
        keep_images=dice.random() < 0.7,
        with_source=False,
        warm=warm,
        transport="ipc",
        placer="local",
        heartbeat_seconds=0.2,
        dead_after_seconds=2.0,
        job_timeout_seconds=600.0,
        real=False,
        parts=(),
    )
