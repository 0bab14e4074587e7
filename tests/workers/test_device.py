"""The device thread: one call at a time, every outcome told, a hung one ended."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading

from workers.device import Device, Outcome
from workers.interface import ModelError


class OutOfMemoryError(Exception):
    """Named like torch's."""


def run(*functions: object) -> list[Outcome]:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    device = Device(outcomes.put)
    for number, function in enumerate(functions):
        device.submit(number, function, 60.0)  # type: ignore[arg-type] # callables, typed loosely on purpose
    return [outcomes.get(timeout=30) for _ in functions]


def test_calls_run_in_order_in_one_thread_and_their_values_are_told() -> None:
    first, second = run(threading.get_ident, threading.get_ident)
    assert (first.tag, second.tag) == (0, 1)
    assert first.value == second.value != threading.get_ident()
    assert first.finished >= first.started > 1.6e9
    assert second.started >= first.finished


def test_failures_keep_their_kind_and_the_thread_lives_on() -> None:
    def known() -> None:
        raise ModelError("not_finite", "no number")

    def unknown() -> None:
        raise ZeroDivisionError("by zero")

    first, second, third = run(known, unknown, lambda: "alive")
    assert (first.error_kind, first.error) == ("not_finite", "no number")
    assert (second.error_kind, second.error) == ("error", "ZeroDivisionError: by zero")
    assert (third.error, third.value) == (None, "alive")


def test_a_call_that_ran_out_of_memory_is_tried_once_more() -> None:
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
    text = f"import threading, time\nfrom workers.device import Device\nd = Device(lambda outcome: None)\n{program}\n"
    return subprocess.run(
        [sys.executable, "-c", text + "threading.Event().wait(60)"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_hung_call_ends_the_process_and_leaves_the_stacks() -> None:
    result = ended("def hang(): threading.Event().wait()\nd.submit(0, hang, 0.5)")
    assert result.returncode == 1
    assert "Timeout" in result.stderr
    assert "in hang" in result.stderr


def test_a_call_that_holds_the_interpreter_lock_is_ended_too() -> None:
    # One long call into C that never lets go of the lock.
    result = ended("import re\nd.submit(0, lambda: re.match('(a+)+$', 'a' * 60 + 'b'), 0.5)")
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
        "d.submit(0, slow, 0.8)"
    )
    assert ended(program).returncode == 7
