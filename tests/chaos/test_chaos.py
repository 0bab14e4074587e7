"""A few quick seeded runs and kills, which together have every kind of fault. ``python -m tests.chaos`` has all."""

from __future__ import annotations

import random

import pytest

from tests.chaos.deeds import Garbage, Injection, Interrupt, Kill, KillNode, Restart, Stall
from tests.chaos.kills import different, kill_runs
from tests.chaos.plan import Plan, draw_plan
from tests.chaos.play import Outcome, play
from tests.chaos.runs import summary

SEEDS = (143, 35, 154, 66, 20)


def injections(plan: Plan) -> list[Injection]:
    return [injection for part in plan.parts for injection in part.injections]


def test_the_same_seed_is_the_same_plan() -> None:
    plans = [draw_plan(seed) for seed in range(100)]
    random.random()  # noqa: S311 - whatever else is drawn changes nothing
    assert plans == [draw_plan(seed) for seed in range(100)]
    assert len({repr(plan) for plan in plans}) == 100


def test_these_seeds_have_every_kind_of_fault() -> None:
    """When plans are drawn differently, choose other seeds."""
    plans = [draw_plan(seed) for seed in SEEDS]
    deeds = [injection.deed for plan in plans for injection in injections(plan)]
    assert {type(deed) for deed in deeds} == {Kill, KillNode, Restart, Stall, Interrupt, Garbage}
    killed = {deed.who.partition("-")[0] for deed in deeds if isinstance(deed, Kill)}
    assert killed >= {"scheduler", "launcher", "editor"}
    assert any(plan.placement != "apart" for plan in plans)
    assert any(plan.warm for plan in plans)
    assert any(plan.second for plan in plans)
    assert any(part.before for plan in plans for part in plan.parts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_disturbed_run_loses_nothing_and_leaves_nothing(seed: int) -> None:
    outcome = play(draw_plan(seed))
    assert outcome.findings == ()
    assert outcome.injected, "a run that nobody disturbed shows nothing"


@pytest.mark.slow
def test_runs_that_are_killed_repeatedly_end_like_undisturbed_ones() -> None:
    tallies = list(kill_runs(3, seed=0, per_run=2))
    assert [tally.findings for tally in tallies] == [[], []]
    assert sum(tally.kills for tally in tallies) == 3
    assert tallies[1].redone is not None


def test_reports_differ_by_a_score_and_not_by_who_gave_it() -> None:
    def report(score: float, worker: str) -> dict[str, object]:
        return {"pairs": [{"score": score, "samples": [{"worker": worker}]}], "performance": {"rounds": score}}

    assert different(report(1.0, "editor-0"), report(1.0, "editor-1")) == []
    assert [found.kind for found in different(report(1.0, "editor-0"), report(2.0, "editor-0"))] == ["miscounted"]


def test_the_summary_counts_runs_and_not_findings() -> None:
    good = Outcome(seed=1, findings=(), deeds=(Kill("launcher"),), tampered=1, resumes=1, parts=2, seconds=1.0)
    told = summary([good, good], 3.4)
    assert told.startswith("2 runs: 0 lost, 0 doubled, 0 mixed up,")
    assert told.endswith("(4 faults injected, 2 resumes, 3 s)")
