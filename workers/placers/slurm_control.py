"""The thread that calls Slurm's commands, which may take as long as a busy controller likes.

It asks for the states of all jobs at once, every few seconds at most.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.placers.slurm_queue import (
    JOB_FORMAT,
    STEP_FORMAT,
    JobState,
    errors,
    read_accounting,
    read_jobs,
    read_steps,
)

log = logging.getLogger("warmbench.launcher")

_POLL_SECONDS = 2.0
_COMMAND_SECONDS = 60.0
_SHARE = 10
"""A slow controller is asked so rarely that it works at most this fraction of its time for us."""


@dataclass
class Submitted:
    """A job, as the thread knows it: ``job`` is its id once submitted, ``code`` its exit code once ended."""

    job: str | None = None
    state: JobState | None = None
    code: int | None = None
    reason: str | None = None
    unknown: int = 0
    cancelled: bool = False

    def ended(self, code: int, reason: str | None) -> None:
        """It has ended, or could not be submitted."""
        self.reason, self.code = reason, code


@dataclass
class Steps:
    """The steps of the allocation, by name; None until they have been asked for."""

    ids: dict[str, str] | None = None


class SlurmControl:
    """Its methods return at once. What they do shows in ``Submitted`` and ``steps``."""

    def __init__(self, environment: Mapping[str, str], job: str | None, record: Path) -> None:
        """``job`` is the allocation whose steps are watched. ``record`` lists the jobs that were submitted, for the
        next launcher of the pool.
        """
        self.steps = Steps()
        self._environment = dict(environment)
        self._allocation = job
        self._record = record
        self._jobs: list[Submitted] = []
        self._watching_steps: Callable[[], bool] = lambda: False
        self._earlier = _recorded(record)
        self._actions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._poll_at = 0.0
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="slurm", daemon=True)
        self._thread.start()
        if self._earlier:
            # Those that run may have workers that wait for this launcher; nobody waits for the others.
            self._actions.put(self._cancel_earlier)

    # -- what the launcher's thread calls

    def submit(self, command: Sequence[str], script: str, environment: Mapping[str, str]) -> Submitted:
        """Submit a job."""
        made = Submitted()
        self._actions.put(lambda: self._submit(made, command, script, environment))
        return made

    def cancel(self, job: Submitted, *, now: bool) -> None:
        """End a job; ``now``: without giving it time."""
        job.cancelled = True
        self._actions.put(lambda: self._cancel([job.job] if job.job and job.code is None else [], now=now))

    def kill_step(self, name: str) -> None:
        """Kill the step of this name."""
        self._actions.put(lambda: self._kill_step(name))

    def watch_steps(self, wanted: Callable[[], bool]) -> None:
        """Keep asking for the allocation's steps while somebody wants to know."""
        self._watching_steps = wanted

    def close(self) -> None:
        """Cancel all jobs that have not ended, of earlier launchers too; returns when that is done."""
        self._actions.put(self._cancel_all)
        self._actions.put(None)
        self._thread.join(2 * _COMMAND_SECONDS)

    # -- the thread

    def _work(self) -> None:
        while True:
            waits = self._open_jobs() or self._watching_steps()
            try:
                action = self._actions.get(timeout=max(0.05, self._poll_at - time.monotonic()) if waits else 0.5)
            except queue.Empty:
                pass
            else:
                if action is None:
                    return
                action()
            if waits and time.monotonic() >= self._poll_at:
                began = time.monotonic()
                self._poll()
                self._poll_at = time.monotonic() + max(_POLL_SECONDS, _SHARE * (time.monotonic() - began))

    def _call(self, command: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None) -> _Output:
        try:
            done = subprocess.run(
                list(command),
                input=text,
                env=dict(environment or self._environment),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_SECONDS,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return _Output(1, "", f"{command[0]}: {error}")
        return _Output(done.returncode, done.stdout, done.stderr)

    def _submit(self, made: Submitted, command: Sequence[str], script: str, environment: Mapping[str, str]) -> None:
        if self._unwanted(made):
            made.ended(1, "it was cancelled before it was submitted")
            return
        output = self._call(command, script, environment)
        job = output.text.strip().partition(";")[0]
        if output.code != 0 or not job.isdecimal():
            made.ended(1, f"sbatch: {'; '.join(errors(output.errors)) or output.errors.strip()[:500] or 'no job id'}")
            return
        made.job = job
        self._jobs.append(made)
        self._note()
        log.info("job %s was submitted: %s", job, command_name(command))
        if self._unwanted(made):
            self._cancel([job], now=True)

    def _unwanted(self, made: Submitted) -> bool:
        """Whether it was cancelled; the other thread may do so at any time."""
        return made.cancelled

    def _open_jobs(self) -> list[Submitted]:
        return [job for job in self._jobs if job.code is None]

    def _note(self) -> None:
        self._jobs = self._open_jobs()
        with contextlib.suppress(OSError):  # a full disk costs the next launcher the ids
            self._record.write_text("".join(f"{job}\n" for job in [*self._earlier, *self._ids()]))

    def _ids(self) -> list[str]:
        return [job.job for job in self._open_jobs() if job.job is not None]

    def _cancel(self, jobs: Iterable[str], *, now: bool) -> None:
        named = list(jobs)
        if not named:
            return
        if now:
            # Signals do not reach jobs that wait; cancelling gives those that run time.
            self._call(["scancel", "--quiet", "--full", "--signal=KILL", *named])
        self._call(["scancel", "--quiet", *named])
        self._poll_at = 0.0

    def _cancel_earlier(self) -> None:
        self._call(["scancel", "--quiet", "--state=PENDING", *self._earlier])

    def _cancel_all(self) -> None:
        self._cancel([*self._ids(), *self._earlier], now=False)
        self._record.unlink(missing_ok=True)

    def _kill_step(self, name: str) -> None:
        step = self._listed_steps().get(name)
        if step is not None:
            self._call(["scancel", "--quiet", "--signal=KILL", step])

    def _listed_steps(self) -> dict[str, str]:
        output = self._call(["squeue", "--steps", "--noheader", f"--jobs={self._allocation}", STEP_FORMAT])
        return read_steps(output.text) if self._answered("squeue --steps", output) else {}

    def _poll(self) -> None:
        if self._watching_steps():
            self.steps.ids = self._listed_steps()
        ids = self._ids()
        if not ids:
            return
        output = self._call(["squeue", "--noheader", "--states=all", f"--jobs={','.join(ids)}", JOB_FORMAT])
        # Of a single job that it has forgotten, squeue says this instead of nothing.
        forgotten = "Invalid job id" in output.errors
        if not forgotten and not self._answered("squeue", output):
            return
        states = read_jobs(output.text)
        for job in self._open_jobs():
            self._seen(job, states.get(job.job or ""))

    def _answered(self, what: str, output: _Output) -> bool:
        if output.code == 0:
            self._failing = False
            return True
        if not self._failing:
            log.warning("%s: %s", what, output.errors.strip()[:500])
        self._failing = True
        return False

    def _seen(self, job: Submitted, state: JobState | None) -> None:
        if state is None:
            # Slurm forgets jobs some time after their end. It may also have answered from before the job was there.
            job.unknown += 1
            if job.unknown < 2:
                return
            accounting = ["sacct", "--parsable2", "--noheader", "--allocations", "--format=State,ExitCode"]
            state = read_accounting(self._call([*accounting, f"--jobs={job.job}"]).text)
            if state is None or state.exit_code is None:
                job.ended(1, f"Slurm does not know job {job.job} any more")
                return
        job.state, job.unknown = state, 0
        if state.exit_code is not None:
            job.ended(state.exit_code, f"Slurm's job {job.job}: {state.cause}" if state.cause else None)
            self._note()


@dataclass(frozen=True)
class _Output:
    """What a command has printed."""

    code: int
    text: str
    errors: str


def command_name(command: Sequence[str]) -> str:
    """The name of the job in its command line."""
    names = [part.partition("=")[2] for part in command if part.startswith("--job-name=")]
    return names[-1] if names else command[0]


def _recorded(record: Path) -> list[str]:
    try:
        return [line for line in record.read_text().splitlines() if line.isdecimal()]
    except OSError:
        return []
