"""Progress: live bars in a terminal, few plain lines elsewhere, a rate that tells the present."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scheduler.terminal.bars import StageBars
from scheduler.terminal.live import LiveScreen
from scheduler.terminal.logs import configure_logging
from scheduler.terminal.rate import Rate
from scheduler.terminal.snapshot import RunView, Snapshot
from tests.waiting import wait_until


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_without_a_terminal_a_stage_says_a_line_each_tenth_or_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    with StageBars(Console(file=stream, width=80), clock=clock) as bars:
        bars.start("edit", 100)
        for done in range(1, 36):
            clock.now += 0.5
            bars.update("edit", done=done, failed=done // 20, round=done // 6 + 1, rounds=17)
        clock.now += 9.0
        bars.update("edit", done=35, failed=1)
        clock.now += 1.0
        bars.update("edit", done=35, failed=1)
        bars.finish("edit")
        bars.finish("edit")

    assert stream.getvalue().splitlines() == [
        "edit: 0/100",
        "edit: 10/100, round 2/17, 2.00 pairs/s, 45s left",
        "edit: 20/100, 1 failed, round 4/17, 2.00 pairs/s, 40s left",
        "edit: 30/100, 1 failed, round 6/17, 2.00 pairs/s, 35s left",
        "edit: 35/100, 1 failed, round 6/17, 1.32 pairs/s, 49s left",
        "edit: finished, 35/100, 1 failed, round 6/17, 1.27 pairs/s",
    ]


def test_a_thousand_updates_in_a_moment_are_a_dozen_lines() -> None:
    clock, stream = Clock(), io.StringIO()
    with StageBars(Console(file=stream), clock=clock) as bars:
        bars.start("score", 1000)
        for done in range(1001):
            bars.update("score", done=done, failed=0)
        bars.finish("score")
    assert len(stream.getvalue().splitlines()) == 12


def test_in_a_terminal_both_stages_are_live_at_once() -> None:
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    with StageBars(console, clock=clock) as bars:
        bars.start("edit", 270)
        bars.start("score", 270)
        clock.now += 42.0
        bars.update("edit", done=120, failed=2, round=20, rounds=45)
        bars.update("score", done=60, failed=0)
    last = stream.getvalue().split("\x1b[2K")[-1]

    assert "edit  ━" in last
    assert "120/270  2 failed  round 20/45  2.86 pairs/s  52s left" in last
    assert "score ━" in last
    assert "60/270  1.43 pairs/s  2m 27s left" in last


def test_ci_and_dumb_terminals_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CI", "true"), ("TERM", "dumb")):
        with monkeypatch.context() as environment:
            environment.setenv(name, value)
            stream = io.StringIO()
            with StageBars(Console(file=stream, force_terminal=True, color_system=None)) as bars:
                bars.start("edit", 1)
            assert stream.getvalue() == "edit: 0/1\n"


def test_no_color_takes_the_colours_and_leaves_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    with StageBars(Console(file=stream, width=100, force_terminal=True), clock=Clock()) as bars:
        bars.start("edit", 10)
        bars.update("edit", done=5, failed=5)
    assert "━" in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()


def test_log_lines_appear_above_the_live_bars() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    logger = configure_logging("INFO", None, console, debug=False)
    with StageBars(console, clock=Clock()) as bars:
        bars.start("edit", 10)
        logger.info("round 1/9 synced")
    configure_logging("INFO", None, None, debug=False)
    _, below = stream.getvalue().split("round 1/9 synced\n")
    assert "0/10" in below


def test_a_stage_that_starts_again_starts_over() -> None:
    for terminal in (False, True):
        clock, stream = Clock(), io.StringIO()
        console = Console(file=stream, width=100, force_terminal=terminal, color_system=None)
        with StageBars(console, clock=clock) as bars:
            bars.start("edit", 10)
            bars.update("edit", done=9, failed=0)
            bars.start("edit", 20, done=5)
        assert "5/20" in stream.getvalue()[stream.getvalue().rindex("edit") :]


def test_the_name_of_a_stage_is_shown_as_it_is() -> None:
    stream = io.StringIO()
    with StageBars(Console(file=stream)) as bars:
        bars.start("[red]x\n", 1)
    assert stream.getvalue() == "[red]x\\n: 0/1\n"


def test_what_was_done_before_the_start_is_no_speed() -> None:
    rate = Rate(0.0, done=100)
    assert rate.per_second(1.0) is None
    assert rate.remaining(1.0, 110) is None
    rate.note(10.0, 105)
    assert rate.per_second(10.0) == 0.5
    assert rate.remaining(10.0, 110) == 10.0


def test_the_rate_forgets_what_is_long_ago_and_falls_while_nothing_happens() -> None:
    rate = Rate(0.0, done=0)
    for second in range(1, 201):
        rate.note(float(second), second * 10 if second <= 100 else 1000 + second - 100)
    assert rate.per_second(200.0) == pytest.approx(1.0)
    assert rate.per_second(260.0) == pytest.approx(0.5, rel=0.05)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=100), st.integers(min_value=0, max_value=5)), max_size=100))
def test_a_rate_is_never_negative_and_keeps_little(steps: list[tuple[float, int]]) -> None:
    now, done = 0.0, 0
    rate = Rate(now, done)
    for seconds, more in steps:
        now, done = now + seconds, done + more
        rate.note(now, done)
        found = rate.per_second(now)
        assert found is None or found > 0
    assert rate.remaining(now, done) == 0.0


def test_the_run_is_looked_at_four_times_a_second_and_only_if_somebody_is_shown_it() -> None:
    looks: list[int] = []

    def look() -> RunView:
        looks.append(1)
        return RunView(phase="loading")

    for terminal, expected in ((True, 5), (False, 0)):
        clock = Clock()
        looks.clear()
        console = Console(file=io.StringIO(), width=100, force_terminal=terminal)
        with StageBars(console, clock=clock) as bars:
            for _ in range(1000):
                bars.look(look)
                clock.now += 0.001
            if terminal:
                assert bars.snapshot().run.phase == "loading"
        assert abs(len(looks) - expected) <= 1


def test_a_run_that_can_not_be_shown_goes_on() -> None:
    clock = Clock()
    looks: list[int] = []

    def look() -> RunView:
        looks.append(1)
        raise KeyError("editor-7")

    with StageBars(Console(file=io.StringIO(), force_terminal=True), clock=clock) as bars:
        for _ in range(3):
            clock.now += 1
            bars.look(look)
    assert len(looks) == 1, "told once"


def test_what_has_not_changed_is_not_drawn_again() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    looks: list[int] = []

    def look() -> Snapshot:
        looks.append(1)
        return Snapshot(run=RunView(phase="waiting"))

    screen = LiveScreen(console, look)
    screen.start()
    wait_until(lambda: len(looks) >= 4)
    assert stream.getvalue().count("waiting") == 1
    screen.stop()


def test_time_in_which_nobody_works_does_not_count() -> None:
    clock, stream = Clock(), io.StringIO()
    with StageBars(Console(file=stream, width=80), clock=clock) as bars:
        bars.start("score", 100, done=20)
        for _ in range(300):  # models are loaded, and all edits are made first
            clock.now += 1.0
            bars.update("score", done=20, failed=0, working=False)
        for done in range(21, 41):
            clock.now += 0.5
            bars.update("score", done=done, failed=0)
        bars.finish("score")
    assert stream.getvalue().splitlines()[-1] == "score: finished, 40/100, 2.00 pairs/s"


def test_a_screen_that_can_not_be_drawn_is_given_up_and_the_log_goes_on() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    looks: list[int] = []

    def look() -> Snapshot:
        looks.append(1)
        raise KeyError("editor-7")

    configure_logging("INFO", None, console, debug=False)
    screen = LiveScreen(console, look)
    screen.start()
    wait_until(lambda: "can't be drawn" in stream.getvalue())
    screen.stop()
    configure_logging("INFO", None, None, debug=False)
    assert len(looks) == 1


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_terminal_that_cannot_show_the_screen_gets_lines(encoding: str) -> None:
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding=encoding, errors="backslashreplace", write_through=True)
    with StageBars(Console(file=stream, force_terminal=True, color_system=None)) as bars:
        bars.start("edit", 10)
        bars.finish("edit")
    assert content.getvalue().decode().splitlines() == ["edit: 0/10", "edit: finished, 0/10"]
