"""The decisions what a worker does next."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.adversary import CHOICES, THOROUGH, Adversary
from tests.workers.jobs_driver import JobsDriver
from workers.jobs import Decode, Encode, Forget, JobKey, Jobs, ReportAtBarrier, Send, Start

ONE, TWO, THREE = (JobKey("run", name) for name in ("1", "2", "3"))


def ready(*keys: JobKey, round_: int | None = None) -> Jobs:
    """A worker whose device may not start yet, with these jobs decoded."""
    jobs = Jobs()
    for key in keys:
        jobs.attach(key.run)
        assert jobs.add(key, round_) == [Decode(key)]
        assert jobs.decoded(key) == []
    return jobs


# -- examples


def test_a_job_goes_from_decoding_to_its_acknowledgement() -> None:
    jobs = Jobs()
    jobs.attach("run")
    jobs.set_usable(True)
    assert jobs.add(ONE, 0) == [Decode(ONE)]
    assert jobs.decoded(ONE) == []
    assert jobs.release("run", 0) == [Start(ONE)]
    assert jobs.device_done(failed=False) == [ReportAtBarrier(ONE, 0), Encode(ONE)]
    assert jobs.encoded(ONE) == [Send(ONE)]
    assert jobs.acknowledged(ONE) == [Forget(ONE)]
    assert jobs.idle


def test_the_next_job_starts_before_the_last_one_is_encoded() -> None:
    jobs = ready(ONE, TWO)
    jobs.set_usable(True)
    assert jobs.device_done(failed=False) == [ReportAtBarrier(ONE, None), Start(TWO), Encode(ONE)]


def test_a_broken_device_loses_its_job_and_what_it_has_finished_is_still_sent() -> None:
    jobs = ready(ONE, TWO, THREE)
    jobs.set_usable(True)
    assert jobs.device_done(failed=False) == [ReportAtBarrier(ONE, None), Start(TWO), Encode(ONE)]
    assert jobs.lose_device() == [Forget(TWO)]
    assert jobs.outstanding
    assert jobs.encoded(ONE) == [Send(ONE)]
    jobs.acknowledged(ONE)
    assert not jobs.outstanding, "the job that waits is for another worker"


def test_encoding_is_deferred_while_the_next_job_waits_for_its_round() -> None:
    jobs = ready(ONE, round_=0)
    jobs.set_usable(True)
    jobs.release("run", 0)
    jobs.add(TWO, 1)
    assert jobs.device_done(failed=False) == [ReportAtBarrier(ONE, 0), Encode(ONE, deferred=True)]


def test_a_job_of_the_next_round_is_decoded_but_does_not_start() -> None:
    jobs = ready(ONE, round_=1)
    assert jobs.set_usable(True) == []
    assert jobs.release("run", 0) == []
    assert jobs.release("run", 1) == [Start(ONE)]
    assert jobs.release("run", 0) == []


def test_while_the_device_is_idle_one_job_is_decoded_at_a_time() -> None:
    jobs = Jobs()
    jobs.attach("run")
    jobs.set_usable(True)
    assert jobs.add(ONE, 0) == [Decode(ONE)]
    assert jobs.add(TWO, 1) == []
    assert jobs.add(THREE, 1) == []
    assert jobs.unfinished("run") == (["1", "2", "3"], [], [])
    assert jobs.decoded(ONE) == [Decode(TWO)], "the device waits for the barrier, not for an image"
    assert jobs.release("run", 0) == [Start(ONE), Decode(THREE, ahead=True)]


def test_the_next_job_is_decoded_when_the_one_before_it_is_cancelled() -> None:
    jobs = Jobs()
    jobs.attach("run")
    jobs.add(ONE, None)
    jobs.add(TWO, None)
    assert jobs.cancel("run", ["1"]) == [Forget(ONE), Decode(TWO)]


def test_a_decoding_failure_is_sent_without_waiting_for_the_round() -> None:
    jobs = Jobs()
    jobs.attach("run")
    jobs.add(ONE, 7)
    assert jobs.decode_failed(ONE) == [Send(ONE)]


def test_runs_take_turns() -> None:
    keys = [JobKey(run, job) for run in "ab" for job in "12"]
    jobs = ready(*keys)
    order = [action.key for action in jobs.set_usable(True) if isinstance(action, Start)]
    for _ in keys:
        order += [action.key for action in jobs.device_done(failed=False) if isinstance(action, Start)]
    assert order == [keys[0], keys[2], keys[1], keys[3]]


def test_a_result_is_kept_and_sent_again_until_it_is_acknowledged() -> None:
    jobs = ready(ONE)
    jobs.set_usable(True)
    jobs.device_done(failed=True)
    assert jobs.attach("run") == [Send(ONE)]
    assert jobs.add(ONE, None) == [Send(ONE)]
    assert jobs.unfinished("run") == ([], [], ["1"])
    jobs.acknowledged(ONE)
    assert jobs.acknowledged(ONE) == []
    assert jobs.attach("run") == []


def test_a_dropped_runs_job_on_the_device_has_no_result_and_the_next_job_starts() -> None:
    other = JobKey("other", "1")
    jobs = ready(ONE, TWO, other)
    jobs.set_usable(True)
    assert jobs.drop("run") == [Forget(ONE), Forget(TWO)]
    assert jobs.running == ONE
    assert jobs.device_done(failed=False) == [Start(other)]


def test_a_run_that_comes_back_can_reuse_its_job_names() -> None:
    jobs = ready(ONE)
    jobs.set_usable(True)
    jobs.drop("run")
    jobs.attach("run")
    assert jobs.add(ONE, None) == [Decode(ONE, ahead=True)]
    assert jobs.device_done(failed=False) == []
    assert jobs.decoded(ONE) == [Start(ONE)]


def test_an_encoding_that_ends_after_its_run_was_dropped_changes_nothing() -> None:
    jobs = ready(ONE)
    jobs.set_usable(True)
    jobs.device_done(failed=False)
    jobs.drop("run")
    assert jobs.encoded(ONE) == []
    jobs.attach("run")
    jobs.add(ONE, None)
    assert jobs.encoded(ONE) == []
    assert jobs.unfinished("run") == (["1"], [], [])


def test_only_jobs_that_have_not_started_can_be_cancelled() -> None:
    jobs = ready(ONE, TWO, THREE)
    jobs.set_usable(True)
    assert jobs.cancel("run", ["1", "2"]) == [Forget(TWO)]
    assert jobs.cancel("run", None) == [Forget(THREE)]
    assert jobs.unfinished("run") == ([], ["1"], [])


def test_a_result_is_outstanding_from_its_start_until_it_is_acknowledged() -> None:
    jobs = ready(ONE)
    outstanding = [jobs.outstanding]
    jobs.set_usable(True)
    outstanding.append(jobs.outstanding)
    jobs.device_done(failed=False)
    outstanding.append(jobs.outstanding)
    jobs.encoded(ONE)
    outstanding.append(jobs.outstanding)
    jobs.acknowledged(ONE)
    outstanding.append(jobs.outstanding)
    assert outstanding == [False, True, True, True, False]


def test_nothing_starts_while_the_model_is_away() -> None:
    jobs = ready(ONE, TWO)
    jobs.set_usable(True)
    jobs.set_usable(False)
    assert jobs.device_done(failed=False) == [ReportAtBarrier(ONE, None), Encode(ONE)]
    assert jobs.set_usable(True) == [Start(TWO)]


# -- slots


def test_as_many_jobs_run_at_once_as_there_are_slots_and_a_few_more_are_decoded() -> None:
    keys = [JobKey("run", str(number)) for number in range(6)]
    jobs = Jobs()
    jobs.attach("run")
    jobs.set_slots(2)
    jobs.set_usable(True)
    decoding = [action for key in keys for action in jobs.add(key, None)]
    assert decoding == [Decode(key) for key in keys[:4]], "images take memory"
    assert jobs.decoded(keys[1]) == [Start(keys[1])]
    assert jobs.decoded(keys[0]) == [Start(keys[0])]
    assert jobs.decoded(keys[2]) == []
    assert jobs.unfinished("run")[1] == ["0", "1"]
    ended = jobs.device_done(keys[0], failed=False)
    assert ended == [
        ReportAtBarrier(keys[0], None),
        Start(keys[2]),
        Decode(keys[4], ahead=True),
        Encode(keys[0]),
    ]
    assert jobs.set_slots(1) == []
    jobs.decoded(keys[3])
    assert jobs.device_done(keys[2], failed=True) == [ReportAtBarrier(keys[2], None), Send(keys[2])]
    assert jobs.set_slots(2) == [Start(keys[3]), Decode(keys[5], ahead=True)]


def test_a_job_that_a_lost_run_sends_again_waits_for_the_end_of_its_first_start() -> None:
    jobs = Jobs()
    jobs.set_slots(2)
    jobs.set_usable(True)
    jobs.attach("run")
    jobs.add(ONE, None)
    assert jobs.decoded(ONE) == [Start(ONE)]
    jobs.drop("run")
    jobs.attach("run")
    jobs.add(ONE, None)
    assert jobs.decoded(ONE) == []
    assert jobs.device_done(ONE, failed=False) == [Start(ONE)]


# -- random events


@pytest.mark.parametrize("slots", [None, 2])
@given(choices=CHOICES)
@THOROUGH
def test_in_any_order_of_events_each_job_runs_once_and_the_device_is_never_idle_without_need(
    slots: int | None, choices: bytes
) -> None:
    driver = JobsDriver(Adversary(choices), slots)
    driver.set_usable(True)
    driver.attach("a")
    driver.attach("b")
    while not driver.adversary.tired:
        kind = driver.adversary.pick(["progress", "ask", "ask", "progress", "ask", "trouble"])
        if kind == "trouble":
            driver.trouble()
        elif kind == "ask" and driver.runs:
            driver.ask()
        else:
            driver.progress()
    # From here on there are no faults: every job is released, done, sent and acknowledged.
    driver.set_usable(True)
    for run in driver.runs:
        driver.release(run, 2)
    left = set(driver.payloads)
    while driver.progress():
        pass
    assert driver.jobs.idle
    assert not driver.payloads
    assert left <= set(driver.sent)
