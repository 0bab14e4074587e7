"""Drives ``Jobs`` as the workbench does (payloads that are kept, codec threads that end late, one device) for runs that
send, repeat, release, cancel, vanish and come back at any moment, and checks all that must hold in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import note

from tests.adversary import Adversary
from workers.jobs import Decode, Encode, Forget, JobAction, JobKey, Jobs, JobState, ReportAtBarrier, Send, Start

WAITING = (JobState.QUEUED, JobState.DECODING, JobState.READY)


def but_decoding(actions: list[JobAction]) -> list[JobAction]:
    """The actions except ``Decode``, which is checked separately."""
    return [action for action in actions if not isinstance(action, Decode)]


@dataclass(eq=False)
class Payload:
    """One job, from its arrival until it is dropped."""

    key: JobKey
    round: int | None
    state: JobState = JobState.QUEUED
    at_barrier: bool = False


@dataclass
class Run:
    """A run. ``passed_over``: how often each other run got the device while this one could have had it."""

    released: int = -1
    passed_over: Counter[str] = field(default_factory=Counter)


class JobsDriver:
    """One worker, and the runs that use it."""

    def __init__(self, adversary: Adversary, slots: int | None = None) -> None:
        self.adversary = adversary
        self.jobs = Jobs()
        self.jobs.set_slots(slots)
        self._slots = slots
        self.runs: dict[str, Run] = {}
        self.payloads: dict[JobKey, Payload] = {}
        self.sent: Counter[JobKey] = Counter()
        self._usable = False
        self._device: list[Payload] = []
        self._codec: list[tuple[Payload, JobState]] = []

    # -- what runs do

    def attach(self, run: str) -> None:
        note(f"{run} attaches")
        self.runs.setdefault(run, Run())
        missed = [payload.key for payload in self._of(run) if payload.state is JobState.UNDELIVERED]
        actions = self.jobs.attach(run)
        assert actions == [Send(key) for key in missed], "what it may have missed is sent again"
        self._act(actions)

    def drop(self, run: str) -> None:
        note(f"{run} is dropped")
        gone = [payload.key for payload in self._of(run)]
        self.runs.pop(run, None)
        actions = self.jobs.drop(run)
        assert but_decoding(actions) == [Forget(key) for key in gone], "nothing happens for a run that is gone"
        self._act(actions)
        assert self.jobs.drop(run) == []

    def add(self, key: JobKey, round_: int | None) -> None:
        note(f"{key} arrives, round {round_}")
        known = self.payloads.get(key)
        self.payloads.setdefault(key, Payload(key, round_))
        actions = self.jobs.add(key, round_)
        if known is None:
            assert but_decoding(actions) == []
        else:
            assert actions == ([Send(key)] if known.state is JobState.UNDELIVERED else []), "it has it already"
        self._act(actions)

    def release(self, run: str, round_: int) -> None:
        note(f"{run} releases round {round_}")
        self.runs[run].released = max(round_, self.runs[run].released)
        self._act(self.jobs.release(run, round_))

    def acknowledge(self, key: JobKey) -> None:
        note(f"{key} is acknowledged")
        payload = self.payloads.get(key)
        done = payload is not None and payload.state is JobState.UNDELIVERED
        actions = self.jobs.acknowledged(key)
        assert actions == ([Forget(key)] if done else [])
        self._act(actions)

    def cancel(self, run: str, names: list[str] | None) -> None:
        note(f"{run} cancels {names}")
        waiting = [payload.key for payload in self._of(run) if payload.state in WAITING]
        actions = self.jobs.cancel(run, names)
        assert but_decoding(actions) == [Forget(key) for key in waiting if names is None or key.job in names]
        self._act(actions)

    # -- what threads and the device do

    def set_usable(self, usable: bool) -> None:
        note(f"usable: {usable}")
        self._usable = usable
        self._act(self.jobs.set_usable(usable))

    def end_codec(self, work: tuple[Payload, JobState], *, failed: bool = False) -> None:
        self._codec.remove(work)
        payload, kind = work
        note(f"{kind.value} of {payload.key} ended, {failed=}")
        if self.payloads.get(payload.key) is not payload:
            return  # the job is gone; what has its name now is another one
        if kind is JobState.ENCODING:
            payload.state = JobState.UNDELIVERED
            self._act(self.jobs.encoded(payload.key))
            return
        payload.state = JobState.UNDELIVERED if failed else JobState.READY
        self._act(self.jobs.decode_failed(payload.key) if failed else self.jobs.decoded(payload.key))

    def set_slots(self, slots: int) -> None:
        note(f"{slots} slots")
        self._slots = slots
        self._act(self.jobs.set_slots(slots))

    def end_device(self, payload: Payload, *, failed: bool = False) -> None:
        note(f"the device is done with {payload.key}, {failed=}")
        self._device.remove(payload)
        live = self.payloads.get(payload.key) is payload
        if live:
            payload.state = JobState.UNDELIVERED if failed else JobState.ENCODING
        following = self.jobs.following
        actions = self.jobs.device_done(payload.key if self._slots else None, failed=failed)
        started = [action.key for action in actions if isinstance(action, Start)]
        if self._slots is None:
            assert started == ([following] if following else []), "the device may have continued with the next job"
        else:
            assert following is None, "nothing is lined up behind one of several"
        first = actions[:1] if live else []
        assert first == ([ReportAtBarrier(payload.key, payload.round)] if live else []), "the barrier comes first"
        self._act(actions)
        assert payload.at_barrier == live

    # -- what may come next

    def trouble(self) -> None:
        """An event that a correct run would not, or need not, cause."""
        run, job = self.adversary.pick("abc"), self.adversary.pick("1234")
        happenings: list[Callable[[], None]] = [partial(self.attach, run), partial(self.drop, run)]
        if run in self.runs:
            happenings += [partial(self.acknowledge, JobKey(run, job))]
            happenings += [partial(self.cancel, run, names) for names in ([job], None)]
        happenings += [
            partial(self.end_codec, work, failed=True) for work in self._codec if work[1] is JobState.DECODING
        ]
        happenings += [partial(self.end_device, payload, failed=True) for payload in self._device]
        happenings += [partial(self.set_slots, slots) for slots in (1, 2, 3) if self._slots]
        happenings += [partial(self.set_usable, not self._usable)]
        self.adversary.pick(happenings)()

    def ask(self) -> None:
        """A run sends something, perhaps again."""
        run = self.adversary.pick(sorted(self.runs))
        job, round_ = self.adversary.pick("1234"), self.adversary.pick([None, 0, 1, 2])
        happenings = [partial(self.add, JobKey(run, job), round_), partial(self.release, run, round_ or 0)]
        self.adversary.pick(happenings)()

    def progress(self) -> bool:
        """Started work ends, or a result is acknowledged; False if there is neither."""
        happenings: list[Callable[[], None]] = [partial(self.end_device, payload) for payload in self._device]
        happenings += [partial(self.end_codec, work) for work in self._codec]
        results = [key for key, payload in self.payloads.items() if payload.state is JobState.UNDELIVERED]
        happenings += [partial(self.acknowledge, key) for key in results]
        if happenings:
            self.adversary.pick(happenings)()
        return bool(happenings)

    # -- what must hold

    def _of(self, run: str) -> list[Payload]:
        return [payload for key, payload in self.payloads.items() if key.run == run]

    def _startable(self, run: str) -> list[Payload]:
        ready = [payload for payload in self._of(run) if payload.state is JobState.READY]
        at_work = {payload.key for payload in self._device}
        released = self.runs[run].released
        return [one for one in ready if one.key not in at_work and (one.round is None or one.round <= released)]

    def _act(self, actions: list[JobAction]) -> None:
        self._started = any(isinstance(action, Start) for action in actions)
        for action in actions:
            note(action)
            match action:
                case Decode(key, ahead):
                    assert ahead == bool(self._device), "it takes its time, where the device does not wait"
                    assert self.payloads[key].state is JobState.QUEUED, "decoded once"
                    self.payloads[key].state = JobState.DECODING
                    self._codec.append((self.payloads[key], JobState.DECODING))
                case Start(key):
                    self._on_start(key)
                case ReportAtBarrier(key, round_):
                    payload = self.payloads[key]
                    assert not payload.at_barrier
                    assert round_ == payload.round
                    payload.at_barrier = True
                case Encode(key, deferred):
                    waits = any(
                        job.round is not None and job.round > self.runs[key.run].released for job in self._of(key.run)
                    )
                    assert deferred == (waits and not self._started), "it yields to a barrier, and to nothing else"
                    assert self.payloads[key].state is JobState.ENCODING
                    assert (self.payloads[key], JobState.ENCODING) not in self._codec
                    self._codec.append((self.payloads[key], JobState.ENCODING))
                case Send(key):
                    assert self.payloads[key].state is JobState.UNDELIVERED, "sent before there is a result"
                    self.sent[key] += 1
                case Forget(key):
                    del self.payloads[key]
        self._check_state()

    def _on_start(self, key: JobKey) -> None:
        assert len(self._device) < (self._slots or 1), "more jobs than the device takes"
        assert key not in [payload.key for payload in self._device], "its first start has not ended"
        assert self._usable
        assert self.payloads[key] is self._startable(key.run)[0], "released, decoded, and the first of its run"
        for name, run in self.runs.items():
            if name != key.run and self._startable(name):
                run.passed_over[key.run] += 1
                assert run.passed_over[key.run] == 1, f"{name} waits for more than one job of {key.run}"
        self._device.append(self.payloads[key])
        self.payloads[key].state = JobState.RUNNING
        self.runs[key.run].passed_over.clear()

    def _check_state(self) -> None:
        jobs = self.jobs
        assert set(jobs.runs) == set(self.runs)
        states = Counter(payload.state for payload in self.payloads.values())
        if self._slots is None and (self._device or not states[JobState.DECODING]):
            assert not states[JobState.QUEUED], "nothing waits to be decoded but for the one that the device waits for"
        if self._slots is not None:
            decoded = states[JobState.DECODING] + states[JobState.READY]
            assert decoded or not states[JobState.QUEUED], "what starts soon is decoded"
        assert jobs.running == (self._device[0].key if self._device else None)
        assert jobs.idle == (not self._device and not self.payloads)
        assert jobs.following is None or (self._device and self._usable)
        for name, run in self.runs.items():
            assert jobs.unfinished(name) == (
                self._names(name, *WAITING),
                self._names(name, JobState.RUNNING),
                self._names(name, JobState.ENCODING, JobState.UNDELIVERED),
            )
            startable = self._startable(name)
            has_room = len(self._device) < (self._slots or 1)
            assert not (startable and self._usable and has_room), "it could work, and does not"
            if not startable:
                run.passed_over.clear()

    def _names(self, run: str, *states: JobState) -> list[str]:
        return [payload.key.job for payload in self._of(run) if payload.state in states]
