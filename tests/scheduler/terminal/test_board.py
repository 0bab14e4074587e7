"""The live screen: what stands on it, and that it fits."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from rich.cells import cell_len
from rich.console import Console
from rich.segment import SegmentLines

from scheduler.terminal.board import board
from scheduler.terminal.live import rendered
from scheduler.terminal.snapshot import MeanView, RunView, Snapshot, StageView, WorkerView

STAGES = (
    StageView("edit", 120, 270, ("120/270", "2 failed", "round 20/45", "2.86 pairs/s", "52s left"), failed=True),
    StageView("score", 60, 270, ("60/270", "1.43 pairs/s", "2m 27s left")),
)
WORKERS = (
    WorkerView("editor-0", "cuda:0", "editing", "时间推理/12", 12, 40, 3.2),
    WorkerView("editor-1", "cuda:1", "at barrier", seconds=0.4),
    WorkerView("editor-2", "cuda:2", "restarting", seconds=14),
    WorkerView("reward-0", "cuda:3", "scoring", "物理常识/1 and 7 more", 3, 8, 1.0),
)
MEANS = (MeanView("时间推理", 12, 7.25), MeanView("spatial", 8, 4.75))
RUN = RunView(
    workers=WORKERS,
    at_barrier=1,
    editors=3,
    failures=2,
    last_failure="空间/7 (edit, oom: out of memory)",
    means=MEANS,
)


def shown(snapshot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, record=True)
    for line in rendered(console, snapshot):
        console.print("".join(segment.text for segment in line), markup=False, highlight=False)
    return console.export_text().splitlines()


def test_it_shows_at_a_glance_how_a_run_stands() -> None:
    assert shown(Snapshot(STAGES, RUN)) == [
        "─" * 80,
        "edit  ━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌ 120/270  2 failed  round 20/45  2.86 pairs/s  52s left",
        "score ━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 60/270  1.43 pairs/s  2m 27s left",
        "1 of 3 editors at the barrier",
        "2 failed, last: 空间/7 (edit, oom: out of memory)",
        "editor-0  cuda:0  editing     时间推理/12                            12/40  3.2s",
        "editor-1  cuda:1  at barrier                                                0.4s",
        "editor-2  cuda:2  restarting                                                 14s",
        "reward-0  cuda:3  scoring     物理常识/1 and 7 more                    3/8  1.0s",
        "时间推理  n=12  7.25   spatial   n=8   4.75",
        "Overall   n=20  6.25",
    ]


def test_of_many_workers_those_are_shown_that_tell_most_and_the_rest_is_counted() -> None:
    many = [structs.replace(WORKERS[0], name=f"editor-{number}", seconds=float(number)) for number in range(64)]
    many[7] = structs.replace(many[7], state="dead", work="")
    many[30] = structs.replace(many[30], state="at barrier", work="")
    lines = shown(Snapshot(STAGES, structs.replace(RUN, workers=[*many, WORKERS[3]])))

    assert len(lines) <= 21, "three lines are left to the log"
    names = [line.split()[0] for line in lines if line.startswith(("editor-", "reward-"))]
    assert names[0] == "editor-7", "the one that is dead"
    assert names[-2:] == ["editor-63", "reward-0"], "who is at its pair the longest, and the only reward, in order"
    assert f"… {65 - len(names)} more: {64 - len(names)} editing, 1 at barrier" in lines


def test_wide_and_hostile_names_keep_every_column_in_its_place() -> None:
    names = ["一" * 60, "a\nb\x1b[31m", "[bold]x[/bold]", "\u202eevil", "é"]
    workers = [WorkerView("editor-0", "cpu", "editing", f"{name}/1", 1, 2, 1.0) for name in names]
    means = [MeanView(name, 3, 5.0) for name in names]
    lines = shown(Snapshot(STAGES, RunView(workers=workers, means=means)))
    rows = [line for line in lines if line.startswith("editor-0")]
    assert {cell_len(line) for line in rows} == {cell_len(rows[0])}
    assert all(line.endswith("  1/2  1.0s") for line in rows)
    counted = [line for line in lines if "n=3 " in line]
    assert len({cell_len(line.split("n=3")[0]) for line in counted}) == 1
    text = "\n".join(lines)
    assert "[bold]x[/bold]" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_what_does_not_fit_of_many_categories_is_counted_and_the_overall_mean_stays() -> None:
    means = [MeanView(f"category {number} with a long name of its own", 2, float(number % 10)) for number in range(50)]
    lines = shown(Snapshot(STAGES, structs.replace(RUN, means=means)))
    assert len(lines) <= 21
    assert any(line.startswith("… ") and line.endswith(" more categories") for line in lines)
    assert lines[-1].startswith("Overall ")
    assert lines[-1].endswith("n=100  4.50")


@settings(max_examples=60)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    workers=st.lists(st.sampled_from(WORKERS), max_size=70),
    means=st.lists(st.builds(MeanView, st.text(max_size=30), st.integers(1, 10**6), st.floats(0, 10)), max_size=20),
    reason=st.text(max_size=300),
)
def test_it_fits_any_terminal(
    width: int, height: int, workers: list[WorkerView], means: list[MeanView], reason: str
) -> None:
    run = RunView(
        workers=workers, means=means, failures=1, last_failure=reason, at_barrier=1, editors=2, phase="moving"
    )
    lines = board(Snapshot(STAGES, run), width, height)
    assert len(lines) <= max(1, height - 1)
    assert all(line.cell_len <= width for line in lines)
    assert not any("\n" in line.plain for line in lines)


def test_nothing_known_is_nothing_shown() -> None:
    assert board(Snapshot(), 80, 24) == []
    assert shown(Snapshot(run=RunView(phase="waiting for the workers"))) == ["waiting for the workers"]


def test_the_lines_of_the_screen_can_be_recorded_as_a_picture() -> None:
    console = Console(file=io.StringIO(), record=True, width=90, height=24, force_terminal=True)
    console.print(SegmentLines(rendered(console, Snapshot(STAGES, RUN)), new_lines=True))
    picture = console.export_svg(title="a run")
    assert picture.startswith("<svg")
    for text in ("a&#160;run", "editor-0", "时间推理", "2.86&#160;pairs/s"):
        assert text in picture


@pytest.mark.parametrize("seconds", [0.0, 59.7, 86_400.0])
def test_ages_are_aligned(seconds: float) -> None:
    workers = [WORKERS[0], structs.replace(WORKERS[0], seconds=seconds)]
    one, other = shown(Snapshot((), RunView(workers=workers)))[1:]
    assert cell_len(one) == cell_len(other)
