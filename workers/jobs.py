"""Decides what a worker does next with its jobs, without sockets, clocks or threads.

Every method is an event and returns the actions that follow; the worker's loop carries them out. A job goes
``queued -> decoding -> ready -> running -> encoding -> undelivered`` and is forgotten when its result is acknowledged.
The device runs one job at a time, or as many as it has slots; the jobs of several runs take turns. A job of a round
starts only once that round is released, but it is decoded before. While the device is idle, only one job is decoded at
a time: the job that the device waits for has the processors to itself. With slots, only those are decoded that start
soon: their images take memory.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_AHEAD_OF_SLOTS = 2
"""How many jobs more than there are free slots are decoded."""


class JobState(enum.Enum):
    """How far a job is."""

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
    """Decode the job's images. ``ahead``: the device is busy with another job, so there is time."""

    key: JobKey
    ahead: bool = False


@dataclass(frozen=True)
class Start:
    """Run the job on the device."""

    key: JobKey


@dataclass(frozen=True)
class ReportAtBarrier:
    """Tell the run at once that the device has finished the job."""

    key: JobKey
    round: int | None


@dataclass(frozen=True)
class Encode:
    """Encode what the device made. ``deferred``: the next job waits for its round. The barrier's messages are more
    urgent, so encoding starts when that job has started, or after a short delay.
    """

    key: JobKey
    deferred: bool = False


@dataclass(frozen=True)
class Send:
    """Send the job's result. It is kept until the run acknowledges it."""

    key: JobKey


@dataclass(frozen=True)
class Forget:
    """Drop everything that is kept for the job."""

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

    def startable(self) -> Iterator[str]:
        """The jobs that may start now, in order of arrival."""
        for name, job in self.jobs.items():
            if job.state is JobState.READY and (job.round is None or job.round <= self.released):
                yield name

    def awaits_release(self) -> bool:
        """Whether a job's round is not released yet."""
        return any(job.round is not None and job.round > self.released for job in self.jobs.values())

    def in_state(self, *states: JobState) -> list[str]:
        return [name for name, job in self.jobs.items() if job.state in states]


class Jobs:
    """All jobs of one worker."""

    def __init__(self) -> None:
        self._runs: dict[str, _RunJobs] = {}
        self._turns: deque[str] = deque()
        self._queued: dict[JobKey, None] = {}
        self._running: dict[JobKey, bool] = {}
        """The jobs on the device, and whether their results are still wanted."""
        self._slots: int | None = None
        self._usable = False

    @property
    def running(self) -> JobKey | None:
        """The job on the device; with slots, the one that started first."""
        return next(iter(self._running), None)

    @property
    def following(self) -> JobKey | None:
        """The job that starts when the device finishes its only one, if no other event comes first."""
        return self._first_startable() if self._running and self._usable and self._slots is None else None

    @property
    def runs(self) -> tuple[str, ...]:
        """The attached runs."""
        return tuple(self._runs)

    @property
    def idle(self) -> bool:
        """Whether there is no job."""
        return not (self._running or any(run.jobs for run in self._runs.values()))

    @property
    def outstanding(self) -> bool:
        """Whether a started job's result is not acknowledged yet."""
        started = (JobState.RUNNING, JobState.ENCODING, JobState.UNDELIVERED)
        return bool(self._running) or any(run.in_state(*started) for run in self._runs.values())

    def unfinished(self, run: str) -> tuple[list[str], list[str], list[str]]:
        """A run's jobs as three lists: queued, running, unacknowledged (finished by the device, or failed)."""
        jobs = self._runs[run]
        return (
            jobs.in_state(JobState.QUEUED, JobState.DECODING, JobState.READY),
            jobs.in_state(JobState.RUNNING),
            jobs.in_state(JobState.ENCODING, JobState.UNDELIVERED),
        )

    # -- runs

    def attach(self, run: str) -> list[JobAction]:
        """A run said Hello. If it did so before, the results that it may have missed are sent again."""
        if run not in self._runs:
            self._runs[run] = _RunJobs()
            self._turns.append(run)
            return []
        return [Send(JobKey(run, name)) for name in self._runs[run].in_state(JobState.UNDELIVERED)]

    def drop(self, run: str) -> list[JobAction]:
        """A run left or was silent for too long. If the device runs a job of it, that job's result is dropped."""
        dropped = self._runs.pop(run, None)
        if dropped is None:
            return []
        self._turns.remove(run)
        for key in self._running:
            if key.run == run:
                self._running[key] = False
        return self._forget(run, dropped.jobs)

    # -- the device as a whole

    def set_usable(self, usable: bool) -> list[JobAction]:
        """Whether the model is on the device and may work from now on."""
        self._usable = usable
        return self._start_next()

    def set_slots(self, slots: int | None) -> list[JobAction]:
        """How many jobs may run at the same time from now on; None: one, and what follows it is decoded meanwhile."""
        self._slots = slots
        return self._start_next()

    def lose_device(self) -> list[JobAction]:
        """The device is broken: its jobs get no result, and no other one starts."""
        lost = [key for key, wanted in self._running.items() if wanted]
        self._running, self._usable = {}, False
        for key in lost:
            del self._runs[key.run].jobs[key.job]
        return [Forget(key) for key in lost]

    # -- jobs

    def add(self, key: JobKey, round_: int | None) -> list[JobAction]:
        """A job arrived. If it arrived before, nothing changes; if it has a result, that is sent again."""
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
        """The job's images are decoded."""
        job = self._find(key)
        if job is None or job.state is not JobState.DECODING:
            return []
        job.state = JobState.READY
        return self._start_next() or self._decode_more()

    def decode_failed(self, key: JobKey) -> list[JobAction]:
        """The job's images cannot be decoded. That failure is its result."""
        job = self._find(key)
        if job is None or job.state is not JobState.DECODING:
            return []
        job.state = JobState.UNDELIVERED
        return [Send(key), *self._decode_more()]

    def device_done(self, key: JobKey | None = None, *, failed: bool) -> list[JobAction]:
        """The device has finished this job, or its only one."""
        if key is not None and key not in self._running:
            return []  # the device was lost meanwhile
        key = key or self.running
        assert key in self._running, "the device finished a job that it did not start"  # noqa: S101 - a broken caller
        job = self._find(key) if self._running.pop(key) else None
        actions: list[JobAction] = []
        if job is not None:
            actions.append(ReportAtBarrier(key, job.round))
            job.state = JobState.UNDELIVERED if failed else JobState.ENCODING
            # The next job is started before this one is encoded: the device comes first.
            started = self._start_next()
            deferred = not started and self._runs[key.run].awaits_release()
            return [*actions, *started, Send(key) if failed else Encode(key, deferred)]
        return self._start_next()

    def encoded(self, key: JobKey) -> list[JobAction]:
        """The result is encoded."""
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
        """Drop the jobs that the device has not started: those named, or all of the run."""
        jobs = self._runs[run].jobs
        waiting = self._runs[run].in_state(JobState.QUEUED, JobState.DECODING, JobState.READY)
        dropped = [name for name in waiting if names is None or name in names]
        for name in dropped:
            del jobs[name]
        return self._forget(run, dropped)

    def _find(self, key: JobKey) -> _Job | None:
        run = self._runs.get(key.run)
        return run.jobs.get(key.job) if run else None

    def _start_next(self) -> list[JobAction]:
        actions: list[JobAction] = []
        while self._usable and len(self._running) < (self._slots or 1):
            key = self._first_startable()
            if key is None:
                break
            # The runs take turns.
            self._turns.remove(key.run)
            self._turns.append(key.run)
            self._running[key] = True
            self._runs[key.run].jobs[key.job].state = JobState.RUNNING
            actions.append(Start(key))
        return [*actions, *self._decode_more()] if actions else []

    def _decode_more(self) -> list[JobAction]:
        actions: list[JobAction] = []
        while self._queued and self._may_decode():
            key = next(iter(self._queued))
            del self._queued[key]
            self._runs[key.run].jobs[key.job].state = JobState.DECODING
            actions.append(Decode(key, ahead=bool(self._running)))
        return actions

    def _may_decode(self) -> bool:
        if self._slots is not None:
            waiting = sum(len(run.in_state(JobState.DECODING, JobState.READY)) for run in self._runs.values())
            return waiting < max(0, self._slots - len(self._running)) + _AHEAD_OF_SLOTS
        return bool(self._running) or not any(run.in_state(JobState.DECODING) for run in self._runs.values())

    def _forget(self, run: str, names: Iterable[str]) -> list[JobAction]:
        keys = [JobKey(run, name) for name in names]
        for key in keys:
            self._queued.pop(key, None)
        return [*map(Forget, keys), *self._decode_more()]

    def _first_startable(self) -> JobKey | None:
        for run in self._turns:
            for name in self._runs[run].startable():
                # A job that a lost run has sent again waits until its first start, which nobody wants, has ended.
                if JobKey(run, name) not in self._running:
                    return JobKey(run, name)
        return None
