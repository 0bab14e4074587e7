"""Drives ``Course`` as a loop does whose workers come, die and move, whose lease comes and goes, whose pool ends and
whose user interrupts at any moment, and checks all that must hold in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from hypothesis import note

from protocol.messages import Role
from scheduler.base.stages import ROLES
from scheduler.pool.residency import Placement, next_moves, settled
from scheduler.run import course as c
from tests.adversary import Adversary
from tests.scheduler.run.course_world import WORKERS, Pool, Scenario, Worker


class CourseDriver:
    """One run, the pools that it meets, and their workers."""

    def __init__(self, adversary: Adversary, scenario: Scenario) -> None:
        self.adversary = adversary
        self.scenario = scenario
        self.course = c.Course(scenario.stages, resumed=scenario.resumed)
        self.ended: list[str] = []
        self._pools = scenario.pools
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
                assert not self.scenario.resumed or pool.known >= self.scenario.roles, (
                    "what is left depends on the models"
                )
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
                assert "score" in self.scenario.stages
                assert not self._draining
                assert pool.work["editor"].started, "editing"
            case c.FinishStage(stage):
                self._once(f"finish {stage}")
                assert stage in self.scenario.stages
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
                stages = self.scenario.stages
                assert interrupted or all(pool.work[role].idle for role in self.scenario.roles)
                assert all(not work.busy for work in pool.work.values()), "what is on the devices is finished"
                assert self.recorded or self.scenario.resumed, "what the run was to do is in its ledger"
                assert interrupted or all(f"finish {stage}" in pool.happened for stage in stages)
                self.ended.append("interrupted" if interrupted else "done")

    def _once(self, what: str) -> None:
        self.pool.happened[what] += 1
        assert self.pool.happened[what] == 1, f"{what}: once"

    def _take_in(self) -> None:
        for worker in self.pool.workers.values():
            on_device = worker.residency == "device" and worker.moving_to is None
            wanted = worker.role in self.scenario.roles and self.course.desired[worker.role] == "device"
            if on_device and wanted and not worker.joined:
                before = self._records
                self.handle(c.WorkersJoined(frozenset({worker.role})))
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
            comes = role != self.scenario.missing and (role in self.scenario.roles or pool.swap)
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
        for role in self.scenario.roles:
            pool.work[role].started = True
        if not self._draining:
            pool.work["editor"].waiting = self.scenario.edits if "edit" in self.scenario.stages else 0
            pool.work["reward"].waiting = self.scenario.scores if "score" in self.scenario.stages else 0

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
        if delivered and "score" in self.scenario.stages and not self._draining:
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
        busy = {
            role: [one for one in pool.workers.values() if one.busy and one.role == role]
            for role in self.scenario.roles
        }
        if pool.swap:
            assert not all(busy.get(role) for role in ROLES.values()), "editors and rewards take turns"
            held = Counter(one.device for one in pool.workers.values() if "device" in (one.residency, one.moving_to))
            assert not any(busy.values()) or max(held.values()) == 1, "one model on a device where one works"
