"""Drives ``Course`` as a loop does whose workers come, die and move, whose lease comes and goes, whose pool ends and
whose user interrupts at any moment, and checks all that must hold in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from hypothesis import note

from protocol.messages import Residency, Role
from scheduler.base.stages import ROLES, Stage
from scheduler.pool.residency import Placement, next_moves, settled
from scheduler.run import course as c
from tests.adversary import Adversary

WORKERS: tuple[tuple[str, Role], ...] = (
    ("editor-0", "editor"),
    ("editor-1", "editor"),
    ("reward-0", "reward"),
    ("reward-1", "reward"),
)


@dataclass
class Worker:
    """One life of a worker that answers; ``busy``: it has an edit or a score on its device."""

    role: Role
    device: str
    residency: Residency
    moving_to: Residency | None = None
    joined: bool = False
    busy: bool = False


@dataclass
class Work:
    """What a stage has to do: ``waiting`` units, those on devices, those that are done."""

    waiting: int = 0
    busy: int = 0
    done: int = 0
    started: bool = False
    closed: bool = False

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.busy)


class Pool:
    """A pool and the run's stay in it: all that a second pool begins anew."""

    def __init__(self, *, swap: bool, replaceable: bool) -> None:
        self.swap = swap
        self.replaceable = replaceable
        self.leased = False
        self.workers: dict[str, Worker] = {}
        self.known: set[Role] = set()
        self.visited: set[str] = set()
        self.switching = False
        self.drawing_up = False
        self.planned = False
        self.happened: Counter[str] = Counter()
        self.work: dict[Role, Work] = {"editor": Work(), "reward": Work()}


class CourseDriver:
    """One run of ``edits`` edits, and ``scores`` that an earlier part left; no worker of a ``missing`` role comes."""

    def __init__(
        self,
        adversary: Adversary,
        *,
        stages: tuple[Stage, ...],
        resumed: bool,
        edits: int,
        scores: int,
        missing: Role | None = None,
        pools: int = 1,
    ) -> None:
        self.adversary = adversary
        self.course = c.Course(stages, resumed=resumed)
        self.ended: list[str] = []
        self._stages = stages
        self._roles = frozenset(ROLES[stage] for stage in stages)
        self._resumed = resumed
        self._edits = edits if "edit" in stages else 0
        self._scores = scores if "score" in stages else 0
        self._missing = missing
        self._pools = pools
        self._draining = False
        self.recorded = False
        self._records = 0
        self.begun: set[Role] = set()
        self.pool = self._enter_pool()

    def _enter_pool(self) -> Pool:
        self._pools -= 1
        return Pool(swap=self.adversary.chance(2), replaceable=self._pools > 0)

    # -- the loop

    def turn(self) -> None:
        """One turn of the loop, unless it has ended."""
        if self.ended:
            return
        for event in self._events():
            self.handle(event)
            if self.adversary.chance(8):
                self.handle(event)  # hearing it twice changes nothing but what may be done twice
        self._check_state()

    def _events(self) -> Iterator[c.Event]:
        pool, course = self.pool, self.course
        editing, scoring = pool.work["editor"], pool.work["reward"]
        if not pool.planned:
            yield c.ModelsKnown(frozenset(pool.known))
        else:
            yield c.PlanRecorded()
        if not pool.leased:
            yield c.LeaseMissing()
            return
        yield c.LeaseHeld(pool.swap)
        if pool.planned and editing.idle:
            yield c.EditsOver(scores_left=not scoring.idle)
        if course.phase in ("planning", "done"):
            return
        for name, residency in next_moves(self._placements(), course.desired, "host"):
            assert pool.planned, "nothing moves before the plan is recorded"
            pool.workers[name].moving_to = residency
        if not editing.waiting:
            yield c.EditsRunningOut()
        if settled(self._placements(), course.desired):
            yield c.WeightsSettled()
        if all(one.moving_to is None or course.desired[one.role] == "away" for one in pool.workers.values()):
            yield c.WorkersGathered()
        if scoring.closed and scoring.idle:
            yield c.ScoresOver()

    def handle(self, event: c.Event) -> None:
        """Tell the course, and carry out what it answers."""
        note(event)
        for action in self.course.handle(event):
            note(f"    {action}")
            assert not self.ended, "nothing is done after the end"
            self._act(action)

    def _act(self, action: c.CourseAction) -> None:
        pool = self.pool
        match action:
            case c.DrawUpPlan(recorded):
                assert not pool.drawing_up, "the plan is drawn up once in each pool"
                assert not self._resumed or pool.known >= self._roles, "what is left depends on the models"
                assert recorded == self.recorded
                pool.drawing_up = True
            case c.TakeIn():
                assert pool.planned, "nothing begins before its plan is recorded"
                assert pool.leased
                assert not pool.switching
                self._take_in()
            case c.RecordWorkers():
                self._records += 1
            case c.ReadEarly(role):
                assert role == "reward"
                assert pool.swap
                assert "score" in self._stages
                assert not self._draining
                assert pool.work["editor"].started, "editing"
            case c.FinishStage(stage):
                self._once(f"finish {stage}")
                assert stage in self._stages
                assert pool.work[ROLES[stage]].started, "a stage that is finished was started in this pool"
                assert pool.work[ROLES[stage]].idle
            case c.CloseScores():
                self._once("close")
                assert pool.work["editor"].idle
                pool.work["reward"].closed = True
            case c.BeginSwitch():
                self._once("switch")
                assert pool.swap
                pool.switching = True
                for worker in pool.workers.values():
                    worker.joined = worker.joined and worker.role != "editor"
            case c.EndSwitch():
                assert pool.switching
                assert settled(self._placements(), {"editor": "away", "reward": "device"})
                pool.switching = False
            case c.DrainStages():
                self._once("drain")
                for work in pool.work.values():
                    work.waiting = 0
                pool.work["reward"].closed = True
            case c.TakeAnotherPool():
                assert pool.replaceable
                assert not self.begun, "a run that has begun stays in its pool"
                self.pool = self._enter_pool()
            case c.End(interrupted):
                assert interrupted == self._draining
                assert interrupted or all(work.idle and work.started for work in self._asked())
                assert all(not work.busy for work in pool.work.values()), "what is on the devices is finished"
                assert self.recorded or self._resumed, "what the run was to do is in its ledger"
                assert self._draining or all(f"finish {stage}" in pool.happened for stage in self._stages)
                self.ended.append("interrupted" if interrupted else "done")

    def _asked(self) -> list[Work]:
        return [self.pool.work[role] for role in self._roles]

    def _once(self, what: str) -> None:
        self.pool.happened[what] += 1
        assert self.pool.happened[what] == 1, f"{what}: once"

    def _take_in(self) -> None:
        for worker in self.pool.workers.values():
            on_device = worker.residency == "device" and worker.moving_to is None
            wanted = worker.role in self._roles and self.course.desired[worker.role] == "device"
            if on_device and wanted and not worker.joined:
                before = self._records
                self.handle(c.WorkersJoined(worker.role))
                assert self._records - before == (worker.role not in self.begun), "recorded once per role"
                self.begun.add(worker.role)
                worker.joined = True

    def _placements(self) -> list[Placement]:
        return [
            Placement(name, worker.role, worker.device, worker.residency, worker.moving_to)
            for name, worker in self.pool.workers.items()
        ]

    # -- what may come next

    def progress(self, *, arrivals: bool = True) -> bool:
        """Something happens that is as it should be; False if nothing is left to happen. Without ``arrivals`` no worker
        and no lease comes any more.
        """
        happenings = self._expected() + (self._arrivals() if arrivals else [])
        if happenings and not self.ended:
            self.adversary.pick(happenings)()
            self.turn()
        return bool(happenings) and not self.ended

    def _expected(self) -> list[Callable[[], None]]:
        pool = self.pool
        happenings: list[Callable[[], None]] = []
        if pool.drawing_up and not pool.planned:
            happenings.append(self._record_plan)
        for worker in pool.workers.values():
            if worker.moving_to is not None:
                happenings.append(partial(self._move, worker))
            elif worker.busy:
                happenings.append(partial(self._finish, worker))
            elif worker.joined and pool.work[worker.role].waiting:
                happenings.append(partial(self._begin, worker))
        return happenings

    def _arrivals(self) -> list[Callable[[], None]]:
        pool = self.pool
        happenings: list[Callable[[], None]] = [] if pool.leased else [self._grant]
        for name, role in WORKERS:
            # Workers of a role that the run does not ask for matter where they may be in the way.
            comes = role != self._missing and (role in self._roles or pool.swap)
            if pool.leased and comes and name not in pool.workers:
                happenings.append(partial(self._arrive, name, role))
        return happenings

    def trouble(self) -> None:
        """Something happens that is not as it should be."""
        happenings: list[Callable[[], None]] = [partial(self._die, name) for name in self.pool.workers]
        if self.pool.leased:
            happenings.append(self._lose_lease)
        if self.pool.replaceable:
            happenings.append(self.end_pool)
        if happenings and not self.ended:
            self.adversary.pick(happenings)()
            self.turn()

    def interrupt(self) -> None:
        """The user wants the run to end."""
        self._draining = True
        self.handle(c.Interrupted())
        self.turn()

    def end_pool(self) -> None:
        """The launcher is killed."""
        note("the pool ends")
        was_begun, before = bool(self.begun), self.pool
        self.handle(c.PoolEnded(self.pool.replaceable))
        if self.pool is before and not self.ended:
            assert was_begun or not before.replaceable
            self.ended.append("aborted")

    def _record_plan(self) -> None:
        note("the plan is recorded")
        pool, self.recorded = self.pool, True
        pool.planned = True
        for role in self._roles:
            pool.work[role].started = True
        if not self._draining:
            pool.work["editor"].waiting, pool.work["reward"].waiting = self._edits, self._scores

    def _grant(self) -> None:
        note("the lease is granted")
        self.pool.leased = True

    def _arrive(self, name: str, role: Role) -> None:
        note(f"{name} comes")
        device = f"cuda:{name[-1]}" if self.pool.swap else name
        # An earlier run has left one model on each device; what is started anew where devices are shared waits off it.
        away = self.pool.swap and (device in self.pool.visited or self.adversary.chance(2))
        self.pool.visited.add(device)
        self.pool.workers[name] = Worker(role, device, "host" if away else "device")
        self.pool.known.add(role)

    def _move(self, worker: Worker) -> None:
        note(f"moved: {worker}")
        assert worker.moving_to is not None
        worker.residency, worker.moving_to = worker.moving_to, None

    def _begin(self, worker: Worker) -> None:
        note(f"begins: {worker}")
        assert worker.role in self.begun, "its model is written down before it begins"
        work = self.pool.work[worker.role]
        work.waiting, work.busy, worker.busy = work.waiting - 1, work.busy + 1, True

    def _finish(self, worker: Worker) -> None:
        note(f"finishes: {worker}")
        work = self.pool.work[worker.role]
        work.busy, work.done, worker.busy = work.busy - 1, work.done + 1, False
        delivered = worker.role == "editor" and not self.adversary.chance(5)
        if delivered and "score" in self._stages and not self._draining:
            self.pool.work["reward"].waiting += 1

    def _die(self, name: str) -> None:
        note(f"{name} dies")
        worker = self.pool.workers.pop(name)
        if worker.busy:
            work = self.pool.work[worker.role]
            work.busy -= 1
            work.waiting += not self._draining

    def _lose_lease(self) -> None:
        note("the lease is given up")
        for name in tuple(self.pool.workers):
            self._die(name)
        self.pool.leased = False

    # -- what must hold

    def _check_state(self) -> None:
        course, pool = self.course, self.pool
        assert (course.phase == "done") == bool(self.ended)
        assert course.draining == self._draining
        assert course.begun == self.begun
        assert course.switches <= 1
        busy = {role: [one for one in pool.workers.values() if one.busy and one.role == role] for role in self._roles}
        if pool.swap:
            assert not all(busy.get(role) for role in ROLES.values()), "editors and rewards take turns"
            held = Counter(one.device for one in pool.workers.values() if "device" in (one.residency, one.moving_to))
            assert not any(busy.values()) or max(held.values()) == 1, "one model on a device where one works"
