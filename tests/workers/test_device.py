"""The device thread: one call at a time, an outcome for each, and a hung call ends the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.workers.failing_models import ILLEGAL_ACCESS, fail
from workers.device import Call, Device, Outcome, Watchdog
from workers.interface import ModelError


class OutOfMemoryError(Exception):
    """Named like torch's."""


def run(*functions: object) -> list[Outcome]:
    ended = threading.Semaphore(0)
    device = Device(ended.release, print)
    for number, function in enumerate(functions):
        device.submit(Call(number, function, 60.0))  # type: ignore[arg-type] # callables, typed loosely on purpose
    assert all(ended.acquire(timeout=30) for _ in functions)
    return device.take()


def test_calls_run_in_order_in_one_thread_and_return_their_values() -> None:
    first, second = run(threading.get_ident, threading.get_ident)
    assert (first.tag, second.tag) == (0, 1)
    assert first.value == second.value != threading.get_ident()
    assert first.finished >= first.started > 1.6e9
    assert second.started >= first.finished


def test_failures_keep_their_kind_and_the_thread_lives_on() -> None:
    def known() -> None:
        raise ModelError("not_finite", "no number")

    def unknown() -> None:
        raise ZeroDivisionError("by zero\n\tin two lines")

    first, second, third = run(known, unknown, lambda: "alive")
    assert (first.error_kind, first.error) == ("not_finite", "no number")
    assert (second.error_kind, second.error) == ("error", "ZeroDivisionError: by zero in two lines")
    assert (third.error, third.value) == (None, "alive")


def test_a_call_that_ran_out_of_memory_is_tried_again() -> None:
    tries: list[int] = []

    def once_too_big() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OutOfMemoryError
        return "fits"

    def always_too_big() -> None:
        tries.append(2)
        raise ModelError("oom", "too big")

    first, second = run(once_too_big, always_too_big)
    assert first.value == "fits"
    assert second.error_kind == "oom"
    assert tries == [1, 1, 2, 2]


def ended(program: str) -> subprocess.CompletedProcess[str]:
    text = "import threading, time\nfrom workers.device import Call, Device\n"
    text += f"d = Device(lambda: None, lambda reason: print(reason, flush=True))\n{program}\n"
    return subprocess.run(
        [sys.executable, "-c", text + "threading.Event().wait(60)"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_hung_call_ends_the_process_and_logs_the_stacks() -> None:
    result = ended("def hang(): threading.Event().wait()\nd.submit(Call(0, hang, 0.5))")
    assert result.returncode == 1
    assert "Timeout" in result.stderr
    assert "in hang" in result.stderr


def test_a_call_that_holds_the_interpreter_lock_is_ended_too() -> None:
    # One long call into C that never releases the lock.
    result = ended("import re\nd.submit(Call(0, lambda: re.match('(a+)+$', 'a' * 60 + 'b'), 0.5))")
    assert result.returncode == 1
    assert "Timeout" in result.stderr


def test_progress_keeps_a_slow_call_alive() -> None:
    program = (
        "import os\n"
        "def slow():\n"
        "    for _ in range(20):\n"
        "        threading.Event().wait(0.1)\n"
        "        d.watchdog.progressed()\n"
        "    os._exit(7)\n"
        "d.submit(Call(0, slow, 0.8))"
    )
    assert ended(program).returncode == 7


def test_an_idle_device_does_not_count_as_hung() -> None:
    idle = "d.submit(Call(0, lambda: None, 0.4))\nthreading.Event().wait(1.2)\nimport os\nos._exit(7)\n"
    assert ended(idle).returncode == 7


def test_an_idle_device_that_waits_for_the_interpreter_lock_does_not_count_as_hung() -> None:
    program = (
        "import os, sys\n"
        "d.submit(Call(0, lambda: None, 0.4))\n"
        "while not d.take(): time.sleep(0.01)\n"
        "time.sleep(0.05)\n"
        "sys.setswitchinterval(60)\n"
        "end = time.monotonic() + 0.6\n"
        "while time.monotonic() < end: pass\n"
        "os._exit(7)"
    )
    assert ended(program).returncode == 7


def test_a_hung_call_is_ended_even_just_after_another_call() -> None:
    result = ended("def hang(): threading.Event().wait()\nfor call in (int, hang): d.submit(Call(0, call, 0.5))")
    assert result.returncode == 1
    assert "in hang" in result.stderr


def test_a_clock_that_is_stopped_while_a_thread_reports_progress_stays_stopped() -> None:
    looks, goes_on = threading.Event(), threading.Event()

    class Slow(Watchdog):
        @property
        def _moment(self) -> float:
            looks.set()
            goes_on.wait(0.3)  # the other thread could stop the clock now
            return -1.0

    watchdog = Slow()
    watchdog.watch_between_calls(60.0)
    with ThreadPoolExecutor(1) as threads:
        reporting = threads.submit(watchdog.progressed)
        assert looks.wait(30)
        watchdog.watch_between_calls(0)
        goes_on.set()
        reporting.result()
    looks.clear()
    watchdog.progressed()
    assert not looks.is_set(), "the clock runs"


# -- what would end the device thread


def test_a_model_that_exits_or_is_interrupted_fails_its_call_alone() -> None:
    first, second, third = run(lambda: fail("exit"), lambda: fail("interrupt"), lambda: "alive")
    assert (first.error_kind, first.error) == ("error", "SystemExit: the model called sys.exit(3)")
    assert (second.error_kind, second.error) == ("error", "KeyboardInterrupt")
    assert third.value == "alive"


BROKEN_CUDA = f"""
import sys, types
import workers.device as module
module._END_SECONDS = 0.5
def broken(): raise RuntimeError({ILLEGAL_ACCESS!r})
def fail(): raise ValueError("no more")
"""
CALL = "d.submit(Call(0, {}, 60))\nd.submit(Call(0, lambda: print('still at work'), 60))\n"


def assert_ended(result: subprocess.CompletedProcess[str]) -> None:
    """The reason was reported and logged, nothing ran any more, and the process ended though nobody ended it."""
    assert result.stdout == "RuntimeError: CUDA error: an illegal memory access was encountered\n"
    assert "the device is broken, so this process ends: RuntimeError: CUDA error: an illegal" in result.stderr
    assert result.returncode == 1


def test_a_call_that_breaks_the_device_is_the_last_one_and_the_process_ends() -> None:
    assert_ended(ended(BROKEN_CUDA + CALL.format("broken")))


def test_a_device_that_can_not_even_free_its_memory_ends_the_process() -> None:
    torch = "sys.modules['torch'] = types.SimpleNamespace(cuda=types.SimpleNamespace(\n"
    torch += "    is_available=lambda: True, is_initialized=lambda: False, empty_cache=broken))\n"
    assert_ended(ended(BROKEN_CUDA + torch + CALL.format("fail")))


# -- one call lined up behind another


def lined_up(*, withdrawn: bool) -> tuple[list[object], bool]:
    """The tags of the outcomes, and whether the device had continued, with a call lined up behind a running one."""
    ended, running, go_on = threading.Semaphore(0), threading.Event(), threading.Event()
    device = Device(ended.release, print)

    def first() -> None:
        running.set()
        assert go_on.wait(30)

    device.submit(Call("first", first, 60.0))
    assert running.wait(30)
    device.line_up(Call("second", int, 60.0))
    if withdrawn:
        assert not device.withdraw()
    go_on.set()
    assert ended.acquire(timeout=30)
    if withdrawn:
        device.submit(Call("third", int, 60.0))
    assert ended.acquire(timeout=30)
    return [outcome.tag for outcome in device.take()], device.withdraw()


def test_the_device_continues_with_the_call_that_is_lined_up_and_reports_it() -> None:
    assert lined_up(withdrawn=False) == (["first", "second"], True)


def test_a_call_that_is_withdrawn_in_time_does_not_run() -> None:
    assert lined_up(withdrawn=True) == (["first", "third"], False)
