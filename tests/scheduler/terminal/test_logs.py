"""The log: a line per event in the file, the same on the console, and no event that can forge another."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from scheduler.base.text import format_duration
from scheduler.terminal.logs import LOGGER_NAME, configure_logging


@pytest.fixture(autouse=True)
def logger_is_left_bare() -> Iterator[None]:
    yield
    configure_logging("INFO", None, None, debug=False)


def console_to(stream: io.StringIO) -> Console:
    return Console(file=stream, width=40)


def test_an_event_is_one_line_of_time_level_and_message(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "benchmark.log"
    logger = configure_logging("INFO", file, None, debug=False)
    logger.info("loaded %d pairs in 物理", 50)
    logger.debug("not asked for")

    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO loaded 50 pairs in 物理", line)


def test_newlines_and_escape_sequences_of_a_message_forge_no_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    stream = io.StringIO()
    logger = configure_logging("INFO", file, console_to(stream), debug=False)
    logger.error("bad pair %s", "x\n2026-01-01 00:00:00 INFO all is well\x1b[2J\ud800")

    for text in (file.read_text(encoding="utf-8"), stream.getvalue()):
        assert len(text.splitlines()) == 1
        assert "x\\n2026" in text
        assert "\\x1b[2J\\ud800" in text


def test_a_traceback_is_one_line_in_the_file_and_on_the_console_only_with_debug(tmp_path: Path) -> None:
    for debug in (False, True):
        file = tmp_path / f"log {debug}"
        stream = io.StringIO()
        logger = configure_logging("WARNING", file, console_to(stream), debug=debug)
        try:
            raise KeyError("missing")
        except KeyError:
            logger.exception("it broke")
        logger.debug("a detail")

        assert "KeyError: 'missing'" in file.read_text(encoding="utf-8").splitlines()[0]
        assert ("Traceback" in stream.getvalue()) == debug
        assert ("DEBUG: a detail" in stream.getvalue()) == debug


def test_the_console_shows_levels_but_info_no_markup_and_no_broken_path() -> None:
    stream = io.StringIO()
    logger = configure_logging("info", None, console_to(stream), debug=False)
    path = "/a/very/long/path" * 5
    logger.info("[bold]%s[/bold] :smile:", path)
    logger.warning("careful")

    assert stream.getvalue().splitlines() == [f"[bold]{path}[/bold] :smile:", "WARNING: careful"]


def test_configuring_again_replaces_the_old_handlers(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    configure_logging("INFO", first, None, debug=False)
    logger = configure_logging("INFO", second, None, debug=False)
    logger.info("once")

    assert first.read_text() == ""
    assert second.read_text().count("once") == 1
    assert logger is logging.getLogger(LOGGER_NAME)


def test_a_full_disk_is_told_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    logger = configure_logging("INFO", Path("/dev/full"), None, debug=False)
    logger.info("one")
    logger.info("two")
    assert capsys.readouterr().err.count("cannot write the log /dev/full") == 1


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'LOUD' is none of DEBUG"):
        configure_logging("LOUD", None, None, debug=False)


def test_logging_loads_no_rich_before_there_is_a_console() -> None:
    import subprocess

    modules = "scheduler.terminal.logs, scheduler.report"
    code = f"import sys, {modules}; sys.exit('rich' in sys.modules or 'scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (3.21, "3.2s"),
        (9.96, "10s"),
        (59.6, "1m 0s"),
        (288, "4m 48s"),
        (3600, "1h 0m 0s"),
        (90061, "25h 1m 1s"),
        (float("nan"), "unknown"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
