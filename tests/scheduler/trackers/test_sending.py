"""A tracker is sent to in a process of its own: whatever it does, the run goes on, and nothing is left running."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.trackers.declaration import TrackedRun
from scheduler.trackers.sending import Sender, Sending, without_secrets
from tests.processes import has_ended_by_id
from tests.scheduler.trackers.plug_in import install_lines_tracker
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(install_lines_tracker(tmp_path / "site")))
    monkeypatch.setenv("LINES_API_KEY", "tracker-secret")
    monkeypatch.setenv("JUDGE_KEY", "judge")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines of the log so far, each with its level."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    logger, handler = logging.getLogger("warmbench"), Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def order(folder: Path, does: str = "", *, tracker: str = "lines", seconds: float = 60.0, step: int = 1) -> Sending:
    run = TrackedRun(
        series="s",
        name="training",
        run="20260101_120000",
        title=f"checkpoint-{step}",
        step=step,
        prefix="eval",
        numbers={"score": 7.0},
        settings={},
        files={},
        pairs=(),
        folder=str(folder),
    )
    options: dict[str, Any] = {"file": str(folder / "lines.txt"), "does": does}
    return Sending(tracker=tracker, options=options, timeout_seconds=seconds, run=run)


def gone(*pids: int) -> bool:
    return all(map(has_ended_by_id, pids))


def test_runs_are_sent_one_after_the_other_in_the_background_and_without_the_judges_key(
    tmp_path: Path, logged: list[str]
) -> None:
    sender = Sender()
    for step in (1, 2):
        sender.send(order(tmp_path, step=step), secrets={"JUDGE_KEY"})
    sender.close()
    lines = (tmp_path / "lines.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["checkpoint-1 1 eval 7.0 None", "checkpoint-2 2 eval 7.0 None"]
    sent = [line for line in logged if "Sent" in line]
    assert sent == [f"INFO Sent to lines: checkpoint-{step}, the file" for step in (1, 2)]
    assert not sender.failed


@pytest.mark.parametrize(
    ("does", "tracker", "reason"),
    [
        ("raise", "lines", "ValueError: refused for *** at http://host/path"),
        ("exit", "lines", "SystemExit: gone"),
        ("die", "lines", "its process ended with code -9: the last words for ***"),
        ("", "none", "KeyError: 'none'"),
    ],
)
def test_a_tracker_that_fails_is_one_warning_without_secrets(
    tmp_path: Path, logged: list[str], does: str, tracker: str, reason: str
) -> None:
    sender = Sender()
    sender.send(order(tmp_path, does, tracker=tracker))
    sender.close()
    warnings = [line for line in logged if line.startswith("WARNING")]
    assert warnings == [f"WARNING Not sent to {tracker}: checkpoint-1 ({reason}). The results are in its report"]
    assert sender.failed


def test_a_tracker_that_hangs_is_ended_at_its_deadline_with_what_it_started_and_the_next_run_is_sent(
    tmp_path: Path, logged: list[str]
) -> None:
    sender = Sender()
    sender.send(order(tmp_path, "hang", seconds=8))
    sender.send(order(tmp_path, step=2))
    wait_until((tmp_path / "lines.txt.hangs").exists)
    process, child = map(int, (tmp_path / "lines.txt.hangs").read_text(encoding="utf-8").split())
    assert not gone(process, child)
    sender.close()
    assert gone(process, child)
    assert "WARNING Not sent to lines: checkpoint-1 (it took longer than 8.0s). The results are in its report" in logged
    assert logged[-1] == "INFO Sent to lines: checkpoint-2, the file"


def test_ctrl_c_ends_the_wait_for_trackers_and_all_that_they_started(tmp_path: Path, logged: list[str]) -> None:
    sender = Sender()
    sender.send(order(tmp_path, "hang", seconds=600))
    sender.send(order(tmp_path, step=2, seconds=600))
    hangs = tmp_path / "lines.txt.hangs"
    wait_until(hangs.exists)

    def press() -> None:
        wait_until(lambda: "Waiting" in "".join(logged))
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.get_ident()
    waits = threading.Thread(target=press)
    waits.start()
    with pytest.raises(KeyboardInterrupt):
        sender.close()
    waits.join()
    assert gone(*map(int, hangs.read_text(encoding="utf-8").split()))
    assert [line for line in logged if "WARNING" in line] == [
        f"WARNING Not sent to lines: checkpoint-{step} (interrupted). The results are in its report" for step in (1, 2)
    ]


def test_what_a_tracker_leaves_running_is_ended(tmp_path: Path, logged: list[str]) -> None:
    sender = Sender()
    sender.send(order(tmp_path, "leave"))
    sender.close()
    assert gone(int(logged[-1].rpartition(" ")[2]))


def test_a_reason_has_no_secrets() -> None:
    environment = {"WANDB_API_KEY": "0123456789", "MLFLOW_TRACKING_TOKEN": "abcdefgh", "HOME": "/home/me", "KEY": "a"}
    text = "0123456789 and abcdefgh from /home/me\nat https://user:abc@host/a"
    assert without_secrets(text, environment) == "*** and *** from /home/me\\nat https://host/a"
