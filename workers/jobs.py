"""What a worker does next: its jobs, decided without sockets, clocks or threads.

Every method is an event and returns the actions that follow from it; the worker's loop carries them out. A job goes
``queued -> decoding -> ready -> running -> encoding -> undelivered`` and is forgotten when its result is acknowledged.
One job is on the device at a time; where several runs have work, their jobs take turns. A job of a round starts only
once that round is released, and decoding does not wait for that. But while the device has nothing, only one job is
decoded at a time: the one that it waits for has the processors to itself.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


class JobState(enum.Enum):
    """Where a job is."""

    QUEUED = "queued"
    DECODING = "decoding"
    READY = "ready"
    RUNNING = "running"
    ENCODING = "encoding"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True)
class JobKey:
    """A job of a run."""

    run: str
    job: str


@dataclass(frozen=True)
class Decode:
    """Decode the job's images. With ``ahead`` the device is busy with another job: there is time."""

    key: JobKey
    ahead: bool = False


@dataclass(frozen=True)
class Start:
    """Give the job to the device."""

    key: JobKey


@dataclass(frozen=True)
class ReportAtBarrier:
    """Tell the run at once that the device is done with the job."""

    key: JobKey
    round: int | None


@dataclass(frozen=True)
class Encode:
    """Turn what the device made into a result. With ``behind`` the next job waits for its round: the barrier's messages
    are more urgent, so it begins when that job has started, or a moment later.
    """

    key: JobKey
    behind: bool = False


@dataclass(frozen=True)
class Send:
    """Send the job's result; it is kept until it is acknowledged."""

    key: JobKey


@dataclass(frozen=True)
class Forget:
    """Drop all that is kept of the job."""

    key: JobKey


JobAction = Decode | Start | ReportAtBarrier | Encode | Send | Forget


@dataclass
class _Job:
    round: int | None
    state: JobState = JobState.QUEUED


@dataclass
class _RunJobs:
    released: int = -1
    jobs: dict[str, _Job] = field(default_factory=dict)

    def startable(self) -> str | None:
        """The first job that may start now, in the order of arrival."""
        for name, job in self.jobs.items():
            if job.state is JobState.READY and (job.round is None or job.round <= self.released):
                return name
        return None

    def awaits_release(self) -> bool:
        """Whether there is a job of a round that is not released yet."""
        return any(job.round is not None and job.round > self.released for job in self.jobs.values())

    def named(self, *states: JobState) -> list[str]:
        return [name for name, job in self.jobs.items() if job.state in states]


class Jobs:
    """All jobs of one worker."""

    def __init__(self) -> None:
        self._runs: dict[str, _RunJobs] = {}
        self._turns: deque[str] = deque()
        self._queued: dict[JobKey, None] = {}
        self._running: JobKey | None = None
        self._abandoned = False
        self._usable = False

    @property
    def running(self) -> JobKey | None:
        """The job on the device."""
        return self._running

    @property
    def following(self) -> JobKey | None:
        """The job that will start when the device is done with the one it has, unless something else happens before."""
        return None if self._running is None or not self._usable else self._first_startable()

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that are attached."""
        return tuple(self._runs)

    @property
    def idle(self) -> bool:
        """Whether no run has anything here."""
        return self._running is None and not any(run.jobs for run in self._runs.values())

    @property
    def outstanding(self) -> bool:
        """Whether the device has begun anything whose result is not yet safe with its run."""
        begun = (JobState.RUNNING, JobState.ENCODING, JobState.UNDELIVERED)
        return self._running is not None or any(run.named(*begun) for run in self._runs.values())

    def unfinished(self, run: str) -> tuple[list[str], list[str], list[str]]:
        """A run's jobs by where they are: queued, running, unacknowledged (done by the device, or failed)."""
        found = self._runs[run]
        return (
            found.named(JobState.QUEUED, JobState.DECODING, JobState.READY),
            found.named(JobState.RUNNING),
            found.named(JobState.ENCODING, JobState.UNDELIVERED),
        )

    # -- runs

    def attach(self, run: str) -> list[JobAction]:
        """A run said Hello, perhaps again: results that it may have missed are sent once more."""
        if run not in self._runs:
            self._runs[run] = _RunJobs()
            self._turns.append(run)
            return []
        return [Send(JobKey(run, name)) for name in self._runs[run].named(JobState.UNDELIVERED)]

    def drop(self, run: str) -> list[JobAction]:
        """A run left or was not heard for too long. What the device is doing for it ends, its result goes nowhere."""
        dropped = self._runs.pop(run, None)
        if dropped is None:
            return []
        self._turns.remove(run)
        if self._running is not None and self._running.run == run:
            self._abandoned = True
        return self._forgotten(run, dropped.jobs)

    # -- the device as a whole

    def usable(self, usable: bool) -> list[JobAction]:
        """The model is on the device and free to work from now on, or no longer."""
        self._usable = usable
        return self._start_next()

    # -- jobs

    def add(self, key: JobKey, round_: int | None) -> list[JobAction]:
        """A job arrived. The same one again changes nothing, but its result, if there is one, is sent again."""
        jobs = self._runs[key.run].jobs
        if key.job in jobs:
            return [Send(key)] if jobs[key.job].state is JobState.UNDELIVERED else []
        jobs[key.job] = _Job(round_)
        self._queued[key] = None
        return self._decode_more()

    def release(self, run: str, round_: int) -> list[JobAction]:
        """Jobs of this round may start."""
        self._runs[run].released = max(self._runs[run].released, round_)
        return self._start_next()

    def decoded(self, key: JobKey) -> list[JobAction]:
        """The job's images are there."""
        job = self._find(key)
        if job is None or job.state is not JobState.DECODING:
            return []
        job.state = JobState.READY
        return self._start_next() or self._decode_more()

    def decode_failed(self, key: JobKey) -> list[JobAction]:
        """The job's images can't be had; that is its result."""
        job = self._find(key)
        if job is None or job.state is not JobState.DECODING:
            return []
        job.state = JobState.UNDELIVERED
        return [Send(key), *self._decode_more()]

    def device_done(self, *, failed: bool) -> list[JobAction]:
        """The device is done with the job that it had."""
        key = self._running
        assert key is not None, "the device ended a job that it was not given"  # noqa: S101 - a broken caller
        self._running = None
        job = None if self._abandoned else self._find(key)
        self._abandoned = False
        actions: list[JobAction] = []
        if job is not None:
            actions.append(ReportAtBarrier(key, job.round))
            job.state = JobState.UNDELIVERED if failed else JobState.ENCODING
            # The next job is started before this one is encoded: the device comes first.
            started = self._start_next()
            behind = not started and self._runs[key.run].awaits_release()
            return [*actions, *started, Send(key) if failed else Encode(key, behind)]
        return self._start_next()

    def encoded(self, key: JobKey) -> list[JobAction]:
        """The result can be sent."""
        job = self._find(key)
        if job is None or job.state is not JobState.ENCODING:
            return []
        job.state = JobState.UNDELIVERED
        return [Send(key)]

    def acknowledged(self, key: JobKey) -> list[JobAction]:
        """The run has the result."""
        job = self._find(key)
        if job is None or job.state is not JobState.UNDELIVERED:
            return []
        del self._runs[key.run].jobs[key.job]
        return [Forget(key)]

    def cancel(self, run: str, names: list[str] | None) -> list[JobAction]:
        """Drop what the device has not begun."""
        jobs = self._runs[run].jobs
        waiting = self._runs[run].named(JobState.QUEUED, JobState.DECODING, JobState.READY)
        dropped = [name for name in waiting if names is None or name in names]
        for name in dropped:
            del jobs[name]
        return self._forgotten(run, dropped)

    def _find(self, key: JobKey) -> _Job | None:
        run = self._runs.get(key.run)
        return run.jobs.get(key.job) if run else None

    def _start_next(self) -> list[JobAction]:
        key = None if self._running is not None or not self._usable else self._first_startable()
        if key is None:
            return []
        # Whoever got the device goes to the end of the line.
        self._turns.remove(key.run)
        self._turns.append(key.run)
        self._running = key
        self._runs[key.run].jobs[key.job].state = JobState.RUNNING
        return [Start(key), *self._decode_more()]

    def _decode_more(self) -> list[JobAction]:
        actions: list[JobAction] = []
        while self._queued and (self._running is not None or not self._decoding()):
            key = next(iter(self._queued))
            del self._queued[key]
            self._runs[key.run].jobs[key.job].state = JobState.DECODING
            actions.append(Decode(key, ahead=self._running is not None))
        return actions

    def _decoding(self) -> bool:
        return any(job.state is JobState.DECODING for run in self._runs.values() for job in run.jobs.values())

    def _forgotten(self, run: str, names: Iterable[str]) -> list[JobAction]:
        keys = [JobKey(run, name) for name in names]
        for key in keys:
            self._queued.pop(key, None)
        return [*map(Forget, keys), *self._decode_more()]

    def _first_startable(self) -> JobKey | None:
        for run in self._turns:
            name = self._runs[run].startable()
            if name is not None:
                return JobKey(run, name)
        return None
