"""How a run stands: who is at what, since when, and what came out so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from protocol import messages as m
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.run.run_view import ViewBuilder
from scheduler.stages.edit_rows import EditJob
from scheduler.stages.rounds import Rounds
from scheduler.stages.score_rows import ScoreJob
from scheduler.store.rows import Row
from scheduler.terminal.snapshot import MeanView, RunView, WorkerActivity, WorkerView
from tests.scheduler.rows import edited, failed, planned, scored

SPEC = m.ModelSpec(role="editor")
MODEL = m.LoadedModel(spec=SPEC, fingerprint="0" * 64, size_bytes=1, load_seconds=1.0)
READY = m.WorkerState(phase="ready", residency="device", model=MODEL)


def status(name: str = "editor-0", **fields: Any) -> m.WorkerStatus:
    role: m.Role = "reward" if name.startswith("reward") else "editor"
    known: dict[str, Any] = {"device": "cuda:0", "pid": 7, "alive": True, "incarnation": "1", "log": "", "started": 1.0}
    return m.WorkerStatus(worker_id=name, role=role, spec=SPEC, **known | {"state": READY} | fields)


@dataclass
class Client:
    joined: bool = True
    moving_to: m.Residency | None = None
    state: m.WorkerState | None = READY
    silent: bool = False


@dataclass
class Edits:
    """The edit stage with real rounds of two editors."""

    rounds: Rounds = field(default_factory=lambda: Rounds([EditUnit("c", str(number)) for number in range(4)]))
    jobs: dict[str, EditJob] = field(default_factory=dict)

    def at_work(self) -> Mapping[str, EditJob]:
        names = ("editor-0", "editor-1")
        units = {name: self.rounds.current(name) for name in names}
        return {name: EditJob(name, "cuda:0", unit, 0, 1) for name, unit in units.items() if unit is not None}


@dataclass
class Scores:
    jobs: dict[str, list[ScoreJob]] = field(default_factory=dict)

    def at_work(self) -> Mapping[str, list[ScoreJob]]:
        return self.jobs


class Screen:
    """A run that is looked at, and a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.builder = ViewBuilder(heartbeat_seconds=1.0, clock=lambda: self.now)
        self.edits, self.scores = Edits(), Scores()
        self.clients: dict[str, Client] = {}

    def look(self, *pool: m.WorkerStatus) -> RunView:
        return self.builder.view(
            pool,
            self.clients.get,
            self.edits.at_work(),
            self.scores.at_work(),
            at_barrier=self.edits.rounds.waiting,
        )

    def one(self, *pool: m.WorkerStatus) -> WorkerView:
        return self.look(*pool).workers[0]


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"state": None}, "starting"),
        ({"state": m.WorkerState(phase="starting")}, "starting"),
        ({"state": m.WorkerState(phase="loading")}, "loading"),
        ({"state": m.WorkerState(phase="waiting")}, "loading"),
        ({"state": m.WorkerState(phase="failed", error="no file")}, "failed"),
        ({}, "ready"),
        ({"alive": False, "exit_code": -9}, "restarting"),
        ({"alive": False, "exit_code": -9, "gave_up": True}, "dead"),
    ],
)
def test_before_a_worker_joins_it_stands_as_its_launcher_says(fields: dict[str, Any], state: WorkerActivity) -> None:
    assert Screen().one(status(**fields)).state == state


def test_a_round_is_shown_as_it_goes() -> None:
    screen = Screen()
    screen.clients = {"editor-0": Client(), "editor-1": Client()}
    pool = (status("editor-0"), status("editor-1"))
    assert [worker.state for worker in screen.look(*pool).workers] == ["idle", "idle"]

    screen.edits.rounds.join("editor-0", "editor-1")
    screen.look(*pool)
    screen.now += 2.0
    running = msgspec.structs.replace(READY, running="c/0/0#1", step=12, steps=40)
    screen.clients["editor-0"].state = running
    view = screen.look(*pool)
    assert view.workers[0] == WorkerView("editor-0", "cuda:0", "editing", "c/0", 12, 40, 2.0)
    assert view.workers[1] == WorkerView("editor-1", "cuda:0", "editing", "c/1", 0, 0, 2.0)
    assert (view.at_barrier, view.editors) == (0, 2)

    screen.now += 1.0
    screen.edits.rounds.at_barrier("editor-1", EditUnit("c", "1"))
    view = screen.look(*pool)
    assert [(worker.state, worker.seconds) for worker in view.workers] == [("editing", 3.0), ("at barrier", 0.0)]
    assert (view.at_barrier, view.editors) == (1, 2)

    screen.edits.rounds.at_barrier("editor-0", EditUnit("c", "0"))
    view = screen.look(*pool)
    assert [(worker.state, worker.work) for worker in view.workers] == [("editing", "c/2"), ("editing", "c/3")]
    assert view.workers[0].steps == 0, "the last heartbeat was of another pair"


def test_a_job_that_no_heartbeat_tells_of_is_still_being_decoded() -> None:
    screen = Screen()
    screen.clients = {"editor-0": Client()}
    screen.edits.rounds.join("editor-0")
    assert screen.one(status()).state == "editing"
    screen.now += 3.0
    assert screen.one(status()).state == "decoding"


@pytest.mark.parametrize(
    ("client", "state", "work"),
    [
        (Client(silent=True), "silent", ""),
        (Client(moving_to="host"), "moving", "to host"),
        (Client(joined=False), "ready", ""),
        (Client(joined=False, silent=True), "silent", ""),
    ],
)
def test_what_keeps_a_worker_from_work_is_shown_first(client: Client, state: WorkerActivity, work: str) -> None:
    screen = Screen()
    screen.clients = {"editor-0": client}
    screen.edits.rounds.join("editor-0")
    worker = screen.one(status())
    assert (worker.state, worker.work) == (state, work)


def test_a_reward_shows_its_batch_and_workers_stand_in_their_order() -> None:
    screen = Screen()
    units = tuple(ScoreUnit(EditUnit("c", str(number))) for number in range(3))
    screen.scores.jobs = {"reward-0": [ScoreJob("reward-0", "cpu", 7, units, (1, 1, 1))]}
    names = ["reward-0", "editor-10", "editor-2"]
    state = msgspec.structs.replace(READY, running="batch-7", step=1, steps=3)
    screen.clients = {name: Client(state=state) for name in names}
    workers = screen.look(*map(status, names)).workers
    assert [worker.name for worker in workers] == ["editor-2", "editor-10", "reward-0"]
    assert (workers[2].state, workers[2].work, workers[2].step) == ("scoring", "c/0 and 2 more", 1)


def test_scores_and_failures_are_counted_as_they_go_by() -> None:
    screen = Screen()
    rows: list[Row] = [planned("1"), edited("1"), scored("1", 4.0), scored("2", 8.0), scored("1", 1.0, "spatial")]
    rows += [failed("3", kind="outdated"), failed("4", message="x" * 10_000), failed("5", stage="score", kind="poison")]
    screen.builder.expect(["spatial", "not begun", "物理"])
    screen.builder.add_scores("spatial", 9.0, 2)  # of an earlier part of the run
    screen.builder.note(rows)
    never = (row for row in [scored("1", 3.0)])
    screen.builder.note(never)
    assert next(never, None) is not None, "rows that are made as they are written are not used up"

    view = screen.look()
    assert list(view.means) == [MeanView("spatial", 3, 10 / 3), MeanView("物理", 2, 6.0)]
    assert view.failures == 2
    assert view.last_failure == "物理/5 (score, poison: out of memory)"
