"""What a run does next: planning, waiting for the lease, editing, switching models, scoring, done.

Pure: an event in, a list of actions out. The loop reports what it sees and carries out the actions. Most events may be
repeated in every turn of the loop: one that means nothing in the current phase changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from protocol.messages import Role
from scheduler.base.stages import ROLES, Stage
from scheduler.pool.residency import Wanted

CoursePhase = Literal["planning", "waiting", "editing", "switching", "scoring", "done"]

# -- events


class ModelsKnown(Struct, frozen=True):
    """The pool has reported the fingerprints of these roles' models."""

    roles: frozenset[Role] = frozenset()


class PlanRecorded(Struct, frozen=True):
    """The rows of the plan are in the ledger, and the stages know what they have to do."""


class LeaseHeld(Struct, frozen=True):
    """The run may use the workers. With ``swap``, editors and rewards take turns on the devices."""

    swap: bool


class LeaseMissing(Struct, frozen=True):
    """The run must not use the workers: it has no lease yet, or gave it up to ask for another."""


class LastEdits(Struct, frozen=True):
    """At most a quarter of the edits waits for an editor."""


class EditsRunningOut(Struct, frozen=True):
    """The last edits are with the editors."""


class EditsOver(Struct, frozen=True):
    """Every edit is delivered or has failed. ``scores_left``: there are edits that are not scored yet."""

    scores_left: bool


class WeightsSettled(Struct, frozen=True):
    """All weights are where ``Course.desired`` wants them."""


class WorkersGathered(Struct, frozen=True):
    """Every worker that answers at all is ready to begin, or not wanted on its device."""


class WorkersJoined(Struct, frozen=True):
    """The first or further workers of these roles take part."""

    roles: frozenset[Role]


class ScoresOver(Struct, frozen=True):
    """Every delivered edit is scored or has failed."""


class Interrupted(Struct, frozen=True):
    """The user wants the run to end after the work that is on the devices."""


class PoolEnded(Struct, frozen=True):
    """The pool is gone, or is being stopped. ``replaceable``: the run may use another one."""

    replaceable: bool


Event = (
    ModelsKnown
    | PlanRecorded
    | LeaseHeld
    | LeaseMissing
    | LastEdits
    | EditsRunningOut
    | EditsOver
    | WeightsSettled
    | WorkersGathered
    | WorkersJoined
    | ScoresOver
    | Interrupted
    | PoolEnded
)

# -- actions


class DrawUpPlan(Struct, frozen=True):
    """Work out what there is to do and record it. ``recorded``: an earlier pool of this run got that far."""

    recorded: bool


class TakeIn(Struct, frozen=True):
    """Let all workers that are ready join."""


class RecordWorkers(Struct, frozen=True):
    """Write down who works, with which models."""


class ReadEarly(Struct, frozen=True):
    """Have the role's weights read from disk into host memory ahead of their turn."""

    role: Role


class ReadNext(Struct, frozen=True):
    """Have the files of the model after this run's read, if there is one."""


class FinishStage(Struct, frozen=True):
    """The stage is over."""

    stage: Stage


class CloseScores(Struct, frozen=True):
    """Tell the score stage that no more edits will come."""


class BeginSwitch(Struct, frozen=True):
    """Have the editors leave the devices and the rewards take them."""


class EndSwitch(Struct, frozen=True):
    """The models have changed places."""


class DrainStages(Struct, frozen=True):
    """Have both stages begin nothing more."""


class TakeAnotherPool(Struct, frozen=True):
    """Nothing was begun in this pool: begin again in another."""


class End(Struct, frozen=True):
    """The run is over; ``interrupted`` if the user asked for that."""

    interrupted: bool


CourseAction = (
    DrawUpPlan
    | TakeIn
    | RecordWorkers
    | ReadEarly
    | ReadNext
    | FinishStage
    | CloseScores
    | BeginSwitch
    | EndSwitch
    | DrainStages
    | TakeAnotherPool
    | End
)


class Course:
    """The course of one run, through one pool or several.

    ``recorded``: the plan is in the ledger; that outlives a pool. ``desired``: where each role's weights should be.
    ``begun``: the roles of which a worker has joined. ``switches``: how often the devices changed roles.
    """

    def __init__(self, stages: Collection[Stage], *, resumed: bool) -> None:
        """A ``resumed`` run has a plan in its ledger, and needs the fingerprints of its models to see what is left."""
        self._stages = stages
        self._resumed = resumed
        self.needs: frozenset[Role] = frozenset(ROLES[stage] for stage in stages) if resumed else frozenset()
        self.recorded = False
        self.draining = False
        self.begun: set[Role] = set()
        self.switches = 0
        self._next_read = False
        self._enter_pool()

    def _enter_pool(self) -> None:
        self.phase: CoursePhase = "planning"
        self.desired: dict[Role, Wanted] = {"editor": "device", "reward": "device"}
        self._drawing_up = False
        self._leased = False
        self._swap = False

    def handle(self, event: Event) -> list[CourseAction]:
        """Take an event; return what is to be done, in this order."""
        if self.phase == "done":
            return []
        actions = self._handle(event)
        has_plan = self.recorded or self._resumed
        nothing_begun = not self._leased or self.phase in ("planning", "waiting")
        # A new run records what it was to do, even if it ends before it has done anything.
        if self.draining and has_plan and nothing_begun:
            actions += self._end()
        return actions

    def _handle(self, event: Event) -> list[CourseAction]:
        match event:
            case ModelsKnown(roles) if self.phase == "planning" and not self._drawing_up and roles >= self.needs:
                self._drawing_up = True
                return [DrawUpPlan(self.recorded)]
            case PlanRecorded() if self.phase == "planning":
                self.recorded = True
                self.phase = "waiting"
            case LeaseHeld(swap):
                self._on_lease(swap)
            case LeaseMissing():
                self._leased = False
            case WorkersJoined(roles) if not roles <= self.begun:
                self.begun |= roles
                return [RecordWorkers()]
            case Interrupted() if not self.draining:
                self.draining = True
                return [DrainStages()]
            case PoolEnded(replaceable):
                return self._on_pool_ended(replaceable)
            case _ if self._leased:
                return self._work(event)
            case _:
                pass
        return []

    def _work(self, event: Event) -> list[CourseAction]:
        """Events of a run that may use the workers."""
        match event:
            case EditsOver(scores_left) if self.phase == "editing":
                return self._on_edits_over(scores_left)
            case LastEdits() if not (self._next_read or self.draining):
                self._next_read = True
                return [ReadNext()]
            case EditsRunningOut() if self.phase == "editing" and self._scores_later and not self.draining:
                return [ReadEarly("reward")]
            case WeightsSettled() if self.phase == "switching":
                self.phase = "scoring"
                return [EndSwitch()]
            # While roles change, nobody begins before all are ready: the first would take more than its share.
            case WorkersGathered() if self.phase in ("editing", "scoring"):
                return [TakeIn()]
            case ScoresOver() if self.phase == "scoring":
                return [FinishStage("score"), *self._end()]
            case _:
                return []

    @property
    def _scores_later(self) -> bool:
        return "score" in self._stages and self.desired["reward"] == "away"

    def _on_lease(self, swap: bool) -> None:
        self._leased = True
        self._swap = swap
        if self.phase == "waiting":
            self.phase = "editing"
            later: Role = "reward" if "edit" in self._stages else "editor"
            self.desired[later] = "away" if swap else "device"

    def _on_edits_over(self, scores_left: bool) -> list[CourseAction]:
        actions: list[CourseAction] = [FinishStage("edit")] if "edit" in self._stages else []
        if "score" not in self._stages:
            return [*actions, *self._end()]
        actions.append(CloseScores())
        if not (self._swap and scores_left):
            self.phase = "scoring"
            return actions
        self.phase = "switching"
        self.desired = {"editor": "away", "reward": "device"}
        # Without editors on the devices, this is the rewards' first placement, and no switch.
        self.switches += "editor" in self.begun
        return [*actions, BeginSwitch()]

    def _on_pool_ended(self, replaceable: bool) -> list[CourseAction]:
        if self.begun or not replaceable:
            return []
        self._enter_pool()
        return [TakeAnotherPool()]

    def _end(self) -> list[CourseAction]:
        self.phase = "done"
        return [End(self.draining)]
