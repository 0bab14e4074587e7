"""Decides what a worker does next with its jobs, without sockets, clocks or threads.

Every method is an event and returns the actions that follow; the worker's loop carries them out. A job goes
``queued -> decoding -> ready -> running -> encoding -> undelivered`` and is forgotten when its result is acknowledged.
The device runs one job at a time; the jobs of several runs take turns. A job of a round starts only once that round is
released, but it is decoded before. While the device is idle, only one job is decoded at a time: the job that the device
waits for has the processors to itself.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


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

    def startable(self) -> str | None:
        """The first job, in order of arrival, that may start now."""
        for name, job in self.jobs.items():
            if job.state is JobState.READY and (job.round is None or job.round <= self.released):
                return name
        return None

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
        self._running: JobKey | None = None
        self._abandoned = False
        self._usable = False

    @property
    def running(self) -> JobKey | None:
        """The job on the device."""
        return self._running

    @property
    def following(self) -> JobKey | None:
        """The job that starts when the device finishes its current one, if no other event comes first."""
        return None if self._running is None or not self._usable else self._first_startable()

    @property
    def runs(self) -> tuple[str, ...]:
        """The attached runs."""
        return tuple(self._runs)

    @property
    def idle(self) -> bool:
        """Whether there is no job."""
        return self._running is None and not any(run.jobs for run in self._runs.values())

    @property
    def outstanding(self) -> bool:
        """Whether a started job's result is not acknowledged yet."""
        started = (JobState.RUNNING, JobState.ENCODING, JobState.UNDELIVERED)
        return self._running is not None or any(run.in_state(*started) for run in self._runs.values())

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
        if self._running is not None and self._running.run == run:
            self._abandoned = True
        return self._forget(run, dropped.jobs)

    # -- the device as a whole

    def set_usable(self, usable: bool) -> list[JobAction]:
        """Whether the model is on the device and may work from now on."""
        self._usable = usable
        return self._start_next()

    def lose_device(self) -> list[JobAction]:
        """The device is broken: its job gets no result, and no other one starts."""
        key, self._running, self._usable = self._running, None, False
        if key is None or self._find(key) is None:
            return []
        del self._runs[key.run].jobs[key.job]
        return [Forget(key)]

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

    def device_done(self, *, failed: bool) -> list[JobAction]:
        """The device has finished its job."""
        key = self._running
        assert key is not None, "the device finished a job that it did not start"  # noqa: S101 - a broken caller
        self._running = None
        job = None if self._abandoned else self._find(key)
        self._abandoned = False
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
        key = None if self._running is not None or not self._usable else self._first_startable()
        if key is None:
            return []
        # The runs take turns.
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

    def _forget(self, run: str, names: Iterable[str]) -> list[JobAction]:
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
