"""A worker whose reward works on many jobs at once: each result comes when it is there, and all else still holds."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import messages as m
from tests.waiting import wait_until
from tests.workers.worker_process import Client, WorkerProcess, new_worker, picture


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    monkeypatch.setenv("CLOSED_IN", str(tmp_path))
    with new_worker("reward") as made:
        yield made


@pytest.fixture
def run(worker: WorkerProcess) -> Client:
    return ready(worker, "run")


def ready(worker: WorkerProcess, name: str, **fields: object) -> Client:
    client = worker.client(name)
    client.hello(heartbeat_seconds=0.1)
    client.expect(m.Welcome)
    spec = m.ModelSpec(
        role="reward", class_path="tests.workers.streaming_reward.HeldReward", params={"slots": fields.pop("slots", 4)}
    )
    client.load(spec=spec, **fields)
    client.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.phase == "ready")
    return client


def score(client: Client, job: str, what: str = "wait") -> None:
    item = m.ScoreItem(item=job, key=f"c/{job}", prompts=[m.Prompt(system=job, user=what)])
    client.send(m.Score, [picture()], job=job, items=[item], parameters={}, epoch=1)


def jobs(client: Client) -> tuple[list[str], list[str], list[str]]:
    """Those that wait, that run and whose results are not acknowledged. Jobs start in the order of decoding: any."""
    client.hello(heartbeat_seconds=0.1)
    welcome = client.expect(m.Welcome)
    return sorted(welcome.queued), sorted(welcome.running), sorted(welcome.unacknowledged)


def finish(client: Client, *names: str) -> None:
    """Wait for the scores of these jobs, which come in the order of encoding: any."""
    waited_for = set(names)
    while waited_for:
        scored = client.expect(m.Scored, lambda scored: scored.job in waited_for)
        waited_for.remove(scored.job)
        client.send(m.Ack, job=scored.job)


def test_results_come_in_the_order_in_which_they_are_there(run: Client) -> None:
    for job in "abc":
        score(run, job)
    wait_until(lambda: jobs(run) == ([], ["a", "b", "c"], []))
    score(run, "x", "end b")
    finish(run, "b", "x")
    assert jobs(run) == ([], ["a", "c"], [])
    score(run, "y", "end a")
    scored = run.expect(m.Scored, lambda scored: scored.job == "a")
    assert scored.items[0].judgements == [m.Judgement(response="a")]
    assert scored.finished >= scored.started
    finish(run, "y")
    assert jobs(run) == ([], ["c"], ["a"])
    assert run.expect(m.Scored) == scored, "sent again until it is acknowledged"


def test_no_more_jobs_start_than_the_reward_has_slots(worker: WorkerProcess) -> None:
    run = ready(worker, "run", slots=2)
    score(run, "a")
    wait_until(lambda: jobs(run)[1] == ["a"])
    score(run, "b", "end a")
    finish(run, "a", "b")
    for job in "cd":
        score(run, job)
    wait_until(lambda: jobs(run) == ([], ["c", "d"], []))
    for job in "efg":
        score(run, job, {"e": "slots 3"}.get(job, "wait"))
    assert jobs(run)[1] == ["c", "d"]
    run.send(m.Cancel, jobs=["c", "f"])
    assert jobs(run) == (["e", "g"], ["c", "d"], []), "what has started is not cancelled"


def test_a_reward_that_gets_more_slots_starts_more_jobs(worker: WorkerProcess) -> None:
    run = ready(worker, "run", slots=1)
    score(run, "a", "slots 3")
    finish(run, "a")
    for job in "bcde":
        score(run, job)
    wait_until(lambda: len(jobs(run)[1]) == 3)
    queued, running, _ = jobs(run)
    assert (len(queued), sorted(queued + running)) == (1, ["b", "c", "d", "e"])


def test_the_jobs_of_a_run_that_leaves_are_cancelled_and_another_run_gets_their_slots(
    worker: WorkerProcess, run: Client
) -> None:
    for job in "abcd":
        score(run, job)
    wait_until(lambda: jobs(run)[1] == ["a", "b", "c", "d"])
    run.send(m.Goodbye)
    other = worker.client("other")
    other.hello(heartbeat_seconds=0.1)
    score(other, "a", "done")
    finish(other, "a")
    run.hello()
    score(run, "a", "done")
    finish(run, "a")


def test_a_failure_has_its_kind_and_the_others_go_on(run: Client) -> None:
    score(run, "a")
    wait_until(lambda: jobs(run)[1] == ["a"])
    score(run, "b", "error")
    score(run, "c", "raise")
    failures: dict[str, tuple[str, str]] = {}
    while len(failures) < 2:
        failed = run.expect(m.Failed)
        failures[failed.job] = (failed.kind, failed.message)
    assert failures == {"b": ("rate_limited", "for good"), "c": ("error", "ZeroDivisionError: by zero")}
    score(run, "d", "end a")
    finish(run, "a", "d")


@pytest.mark.slow
def test_a_worker_ends_without_progress_and_not_before(worker: WorkerProcess) -> None:
    run = ready(worker, "run", job_timeout_seconds=1.0)
    score(run, "a")
    run.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.progress > 15)
    score(run, "b", "hang")
    assert worker.process.wait(timeout=20) == 1
    # Nothing runs: no clock.
    with new_worker("reward") as second:
        idle = ready(second, "run", job_timeout_seconds=0.5)
        score(idle, "a", "done")
        finish(idle, "a")
        idle.expect(m.Heartbeat, lambda beat: beat.state is not None and beat.state.running is None)
        with pytest.raises(Exception, match="timed out"):
            second.process.wait(timeout=1.2)


def test_another_model_ends_what_the_reward_was_working_on(run: Client, tmp_path: Path) -> None:
    score(run, "a")
    wait_until(lambda: jobs(run)[1] == ["a"])
    run.load(spec=m.ModelSpec(role="reward", type="simulated", params={}), epoch=2)
    run.expect(m.Heartbeat, lambda beat: bool(beat.state and beat.state.epoch == 2 and beat.state.phase == "ready"))
    assert (tmp_path / "closed").exists()


def test_a_worker_that_is_to_end_closes_its_reward_and_says_goodbye(
    worker: WorkerProcess, run: Client, tmp_path: Path
) -> None:
    worker.process.send_signal(signal.SIGTERM)
    run.expect(m.Goodbye)
    assert worker.process.wait(timeout=20) == 0
    assert (tmp_path / "closed").exists()
