"""What the log says of judgements."""

from __future__ import annotations

import logging

import pytest

from protocol import messages as m
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.stages.score_log import ScoreLog, log_lost
from scheduler.stages.score_rows import ScoreJob


def job(batch: int, *, size: int = 1, worker: str = "reward-0") -> ScoreJob:
    units = tuple(ScoreUnit(EditUnit("c", str(number))) for number in range(size))
    return ScoreJob(worker, "cpu", batch, units, (1,) * size)


def scored(finished: float) -> m.Scored:
    return m.Scored(run="r", incarnation="i", job="batch-0", started=1.0, finished=finished, items=[])


def test_each_batch_has_a_line_with_its_mean(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "warmbench"):
        ScoreLog(streams=False).judged(job(0, size=2), scored(2.0), [5.0, 6.0])
    assert caplog.messages == ["Batch 1 on reward-0: 2 scored, avg_score=5.500"]


def test_requests_have_a_line_for_each_ten_seconds_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    log = ScoreLog(streams=True)
    with caplog.at_level(logging.INFO, "warmbench"):
        for number in range(200):
            log.judged(job(number), scored(100.0 + number / 10), [] if number % 2 else [4.0])
        log.judged(job(200, worker="reward-1"), scored(119.95), [])
        log.flush()
        log.flush()
    assert caplog.messages == [
        "Judged 101 requests on reward-0: 51 scored, avg_score=4.000",
        "Judged 99 requests on reward-0, 1 request on reward-1: 49 scored, avg_score=4.000",
    ]


def test_what_a_lost_reward_had_is_one_line_if_it_is_much(caplog: pytest.LogCaptureFixture) -> None:
    log_lost("reward-0", [job(2, size=4)], died=True)
    log_lost("reward-0", [job(number) for number in range(160)], died=False)
    assert caplog.messages == [
        "reward-0 died; unfinished: batch 3 of 4",
        "reward-0 is silent; unfinished: 160 batches",
    ]
