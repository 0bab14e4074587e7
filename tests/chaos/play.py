"""Plays a plan: starts the run, disturbs it, resumes it until it is over, and audits the results."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.audit import Case, audit
from tests.chaos.dataset import Item, write_items
from tests.chaos.deeds import Deed, Interrupt, Kill, KillNode, Part, Restart, Stall
from tests.chaos.engines import machines_of, unavailable
from tests.chaos.finding import Finding
from tests.chaos.injector import Injector
from tests.chaos.plan import Plan
from tests.chaos.processes import SPARE_DESCRIPTORS, Ended, Observed, newest_run, open_descriptors
from tests.chaos.settings import sections, simulation
from tests.chaos.tamper import Tampering
from tests.harness import User, new_user
from tests.waiting import wait_until

HANG_SECONDS = 120.0
SLOW_HANG_SECONDS = 300.0
"""A part that has not ended after this long hangs. A healthy part takes a few seconds; with real models or an engine a
minute, on busy cores.
"""

CALM_PARTS = 3
"""A run that is not over after this many undisturbed parts never will be."""

_LEFT_SECONDS = 25.0
_DONE = (0, 3)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """The result of a plan. ``skipped`` is why it could not be played here."""

    seed: int
    findings: tuple[Finding, ...]
    deeds: tuple[Deed, ...]
    tampered: int
    resumes: int
    parts: int
    seconds: float
    skipped: str | None = None

    @property
    def injected(self) -> int:
        """How many faults, files that were tampered with included."""
        return len(self.deeds) + self.tampered


Keep = Callable[[Outcome], bool]


@dataclass
class _Job:
    """A run on the pool."""

    name: str
    items: tuple[Item, ...]
    output: Path
    config: Path
    tampering: Tampering = field(default_factory=Tampering)
    code: int | None = None
    spare_poison: int = 0
    reconfigured: bool = False

    @property
    def done(self) -> bool:
        return self.code in _DONE


class Play:
    """Plays a plan once, in its own folder."""

    def __init__(self, plan: Plan, folder: Path, user: User, say: Say) -> None:
        self._plan = plan
        self._user = user
        self._say = say
        self._changes: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._deeds: list[Deed] = []
        self._tampered = 0
        self._resumes = 0
        self._parts = 0
        self._descriptors: dict[int, int] = {}
        self._machines = machines_of(plan, user)
        self._starts: list[subprocess.Popen[str]] = []
        self._jobs = [self._job("scheduler", plan.items, folder)]
        if plan.second:
            self._jobs.append(self._job("scheduler-1", plan.second, folder))

    def run(self) -> Outcome:
        """Play it to its end."""
        started = time.monotonic()
        if self._machines is not None:
            self._machines.start()
        self._configure()
        if self._plan.warm:
            result = self._user.run("workers", "start", "--config", self._jobs[0].config)
            if result.code != 0 and "Traceback" in result.output:
                self._find("aborted", f"workers start: {result.output[-2000:]}")
        number = 0
        while number < len(self._plan.parts) + CALM_PARTS and not self._is_over(number):
            part = self._plan.parts[number] if number < len(self._plan.parts) else Part()
            if not self._play_part(number, part):
                break
            number += 1
        self._conclude()
        return Outcome(
            self._plan.seed,
            tuple(self._findings),
            tuple(self._deeds),
            self._tampered,
            self._resumes,
            self._parts,
            time.monotonic() - started,
        )

    # -- parts

    def _is_over(self, number: int) -> bool:
        return all(job.done for job in self._jobs) and not any(part.before for part in self._plan.parts[number:])

    def _play_part(self, number: int, part: Part) -> bool:
        """Play a part; False if further parts make no sense."""
        self._tamper(part)
        todo = [job for job in self._jobs if not job.done or (part.before and job is self._jobs[0])]
        if not todo:
            return True
        running: dict[str, Observed] = {}
        for job in todo:
            arguments: list[str | Path] = ["run", "--config", job.config, "--output-dir", job.output]
            if self._plan.warm:
                arguments.append("--keep-warm")
            if newest_run(job.output) is not None:
                arguments += ["--resume", "latest"]
                self._resumes += 1
            running[job.name] = Observed(self._user, job.output, arguments)
        injector = Injector(part.injections, running, self._user.home / "bench", self._machines, self._start_launcher)
        injector.start()
        self._parts += 1
        slow = self._plan.real or self._plan.placer in ("ray", "slurm")
        ends = {job.name: running[job.name].wait(SLOW_HANG_SECONDS if slow else HANG_SECONDS) for job in todo}
        injector.end()
        self._deeds += injector.done
        if self._plan.warm and not self._descriptors and all(ended.code in _DONE for ended in ends.values()):
            self._descriptors = open_descriptors(self._user.home / "bench")
        deaths = self._deaths(injector.done)
        for job in todo:
            ended = ends[job.name]
            job.code = ended.code
            job.spare_poison += deaths // 2
            self._say(f"part {number}, {job.name}: exit code {ended.code} after {ended.seconds:.2f} s; "
                      f"{', '.join(map(str, injector.done)) or 'undisturbed'}\n{_end_of(ended.output)}")  # fmt: skip
            self._judge(number, job, ended, injector.done)
        return not any(ended.hung for ended in ends.values())

    def _start_launcher(self) -> None:
        """Start the next launcher after one that was killed, which keeps its pool up from then on."""
        self._starts.append(self._user.start("workers", "start", "--config", self._jobs[0].config))

    def _tamper(self, part: Part) -> None:
        first = self._jobs[0]
        run = newest_run(first.output)
        if run is None:
            return
        for tamper in part.before:
            if tamper.what in ("steps", "seed", "editors"):
                self._changes[tamper.what] += 1
                self._tampered += 1
                for job in self._jobs:
                    job.reconfigured = True
                # The second run, if it is not over, has the same config, and so the same change.
                self._configure()
            else:
                self._tampered += first.tampering.spoil(run, [tamper])
            self._say(f"before the next part: {tamper}")

    def _judge(self, number: int, job: _Job, ended: Ended, deeds: list[Deed]) -> None:
        """Whether the part's end has a reason."""
        where = f"part {number} of {job.name}"
        if ended.hung:
            stuck = "; ".join(name[:80] for name in self._user.left_over())
            self._find("hung", f"{where} did not end in {ended.seconds:.0f} s: {_end_of(ended.output)} (left: {stuck})")
            return
        interrupted = any(isinstance(deed, Interrupt) and deed.who == job.name for deed in deeds)
        if "Traceback" in ended.output and not (interrupted and "KeyboardInterrupt" in ended.output):
            self._find("aborted", f"{where} crashed: {_end_of(ended.output, 30)}")
            return
        allowed = {*_DONE}
        if interrupted:
            allowed |= {130, -2, -15}
        if any(deed == Kill(job.name) for deed in deeds):
            allowed.add(-9)
        if any(
            isinstance(deed, Kill | KillNode | Restart | Stall) and not deed.who.startswith("scheduler")
            for deed in deeds
        ):
            # The launcher has ended, or no worker is left for the work.
            allowed.add(1)
        if self._plan.second and deeds:
            allowed.add(1)
        if ended.code not in allowed:
            self._find("aborted", f"{where} ended with {ended.code}: {_end_of(ended.output, 30)}")

    def _deaths(self, deeds: list[Deed]) -> int:
        """How many workers died of what was injected, at most: a stopped one takes itself for hung when it goes on."""
        limit = self._plan.job_timeout_seconds
        workers = {*self._plan.workers, *(f"node-{n}" for n, _ in enumerate(self._plan.nodes))}
        killed = sum(isinstance(deed, Kill | KillNode) and deed.who in workers for deed in deeds)
        if self._plan.placer == "ray":  # a node may have all of them
            killed += sum(isinstance(deed, KillNode) for deed in deeds) * len(self._plan.workers)
        hung = sum(isinstance(deed, Stall) and deed.who in workers and deed.seconds > limit / 2
                   for deed in deeds)  # fmt: skip
        return killed + hung

    # -- the end

    def _conclude(self) -> None:
        for job in self._jobs:
            run = newest_run(job.output)
            if run is None or job.code is None or not job.done:
                self._find("lost", f"{job.name} never came to its end (last exit code {job.code})")
                continue
            runs = list((job.output / "runs").iterdir())
            if len(runs) != 1:
                self._find("doubled", f"{job.name}: {len(runs)} run folders")
            self._findings += audit(self._case(job), run, job.output, job.code)
        if self._plan.warm:
            self._descriptors_left()
        if self._plan.warm or self._starts:
            self._user.run("workers", "stop", "--config", self._jobs[0].config)
        for start in self._starts:
            start.communicate()
        if self._machines is not None:
            for name in self._machines.close():
                self._find("left_over", f"{name} has outlived its pool")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._user.left_over() == [], seconds=_LEFT_SECONDS)
        for name in self._user.left_over():
            self._find("left_over", name.strip())
        known = {path for job in self._jobs for path in (job.output, job.config, job.config.with_suffix(".json"))}
        for path in self._user.folder.iterdir():
            if path not in known:
                self._find("left_over", f"in the working directory: {path.name}")

    def _descriptors_left(self) -> None:
        """Workers that live since the first run ended have no more open than then, once they let go of the last one."""

        def grown() -> dict[int, int]:
            now = open_descriptors(self._user.home / "bench")
            return {
                pid: now[pid] - before
                for pid, before in self._descriptors.items()
                if now.get(pid, 0) > before + SPARE_DESCRIPTORS
            }

        with contextlib.suppress(AssertionError):
            wait_until(lambda: not grown(), seconds=_LEFT_SECONDS)
        for pid, more in grown().items():
            self._find("left_over", f"worker {pid} has {more} more open descriptors than after the first run")

    def _case(self, job: _Job) -> Case:
        editor, reward, seed = simulation(self._plan, self._changes)
        return Case(
            items=job.items,
            samples=self._plan.samples,
            passes=self._plan.passes,
            seed=seed,
            editor=editor,
            reward=reward,
            keep_images=self._plan.keep_images,
            reconfigured=job.reconfigured,
            tampered=job.tampering.tampered,
            spare_poison=job.spare_poison,
        )

    # -- files

    def _job(self, name: str, items: tuple[Item, ...], folder: Path) -> _Job:
        # The first run's config gives the pool its name.
        stem = "bench" if name == "scheduler" else "other"
        write_items(folder / f"{stem}.json", items)
        return _Job(name, items, folder / f"outputs-{stem}", folder / f"{stem}.yaml")

    def _configure(self) -> None:
        section = self._machines.section if self._machines is not None else {}
        for job in self._jobs:
            content: dict[str, Any] = sections(self._plan, job.config.with_suffix(".json"), self._changes, section)
            self._user.config(job.config.stem, **content)

    def _find(self, kind: Any, text: str) -> None:
        self._findings.append(Finding(kind, text))


def play(plan: Plan, *, say: Say = lambda _: None, keep: Keep = lambda _: False) -> Outcome:
    """Play a plan in a new folder, which is removed unless ``keep`` wants it, with the logs of its pool."""
    if reason := unavailable(plan):
        return Outcome(plan.seed, (), (), tampered=0, resumes=0, parts=0, seconds=0.0, skipped=reason)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.seed}-"))
    say(f"seed {plan.seed} in {folder}\n{_shown(plan)}")
    work = folder / "work"
    work.mkdir()
    kept = False
    try:
        with new_user(work) as user:
            outcome = Play(plan, work, user, say).run()
            kept = keep(outcome)
            if kept:
                for log in user.home.rglob("*.log"):
                    shutil.copy(log, folder / log.name)
                say(f"kept: {folder}")
        return outcome
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _shown(plan: Plan) -> str:
    values = {**plan.__dict__, "items": f"{len(plan.items)} pairs", "second": f"{len(plan.second)} pairs"}
    parts = values.pop("parts")
    lines = [f"  {name}: {value}" for name, value in values.items()]
    lines += [f"  part {number}: before {part.before}, {part.injections}" for number, part in enumerate(parts)]
    bad = [f"{item.key}: {item.bad}" for item in plan.items if item.bad]
    return "\n".join([*lines, f"  bad: {bad}"])


def _end_of(output: str, lines: int = 12) -> str:
    """The end of the log, without the summary."""
    log = output.partition("\nReport: ")[0]
    return "\n".join("    " + line for line in log.splitlines()[-lines:])
