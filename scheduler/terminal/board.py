"""The live screen of a run: from a snapshot to lines of text that fit the terminal. Pure.

It does not use rich's tables: it runs four times a second beside the loop, and leaves out what matters least, not what
comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from scheduler.base.text import counted, format_duration, one_line
from scheduler.report.figures import score_text
from scheduler.terminal.snapshot import MeanView, Snapshot, StageView, WorkerActivity, WorkerView

_WIDEST_BAR = 24
_LONGEST_NAME = 24
_LONGEST_DEVICE = 16
_LONGEST_WORK = 48
_LONGEST_CATEGORY = 40
_GAP = "   "
_RULE = 80
_FEWEST_WORKERS = 3
_FEWEST_MEANS = 2
_FREE_LINES = 3
"""Lines of the terminal that are for the log."""

_LOOKS: dict[WorkerActivity, tuple[int, str]] = {
    "dead": (0, "bold red"),
    "failed": (0, "bold red"),
    "restarting": (1, "bold red"),
    "silent": (1, "bold red"),
    "loading": (2, "yellow"),
    "starting": (2, "yellow"),
    "moving": (2, "yellow"),
    "scoring": (3, "green"),
    "editing": (4, "green"),
    "decoding": (4, "cyan"),
    "at barrier": (5, "dim"),
    "ready": (6, "dim"),
    "idle": (6, "dim"),
}
"""Rank and style. If there is no room for all workers, those of the least rank are shown, then the longest in their
state.
"""


def board(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The lines, at most ``height`` less those for the log, each at most ``width`` cells wide."""
    run = snapshot.run
    top = [_line("─" * min(width, _RULE), "dim")] if run.workers else []
    top += [_stage(stage, snapshot.stages, width) for stage in snapshot.stages]
    if run.phase:
        top.append(_line(_cut(run.phase, width), "bold"))
    if run.editors:
        top.append(_line(_cut(f"{run.at_barrier} of {counted(run.editors, 'editor')} at the barrier", width), "dim"))
    if run.failures:
        last = f", last: {one_line(run.last_failure, 500)}" if run.last_failure else ""
        top.append(_line(_cut(f"{run.failures} failed{last}", width), "red"))
    room = max(0, height - _FREE_LINES - len(top))
    means = _means(run.means, width, max(_FEWEST_MEANS, room - min(len(run.workers), _FEWEST_WORKERS)))
    workers = _workers(run.workers, width, max(0, room - len(means)))
    lines = [*top, *workers, *means][: max(1, height - 1)]
    for line in lines:
        line.truncate(width)  # a bar has no room where a terminal has eight columns
    return lines


def _stage(stage: StageView, stages: Sequence[StageView], width: int) -> Text:
    names = max(cell_len(one_line(other.name, 20)) for other in stages)
    facts = "  ".join(stage.facts)
    # The facts of all stages begin in one column.
    longest = max(cell_len("  ".join(other.facts)) for other in stages)
    length = max(4, min(_WIDEST_BAR, width - names - longest - 2))
    share = min(1.0, stage.done / stage.total) if stage.total else 1.0
    filled = int(share * length)
    line = _line(_padded(one_line(stage.name, 20), names) + " ", "bold")
    line.append("━" * filled, style="green" if share >= 1 else "magenta")
    line.append("╌" * (length - filled), style="dim")
    line.append(" " + _cut(facts, max(0, width - names - length - 2)), style="red" if stage.failed else "")
    return line


def _workers(workers: Sequence[WorkerView], width: int, room: int) -> list[Text]:
    shown = list(workers)
    left_out: list[WorkerView] = []
    if len(shown) > room:
        interesting = sorted(
            range(len(shown)), key=lambda place: (_LOOKS[shown[place].state][0], -shown[place].seconds)
        )
        chosen = set(interesting[: max(0, room - 1)])
        left_out = [worker for place, worker in enumerate(shown) if place not in chosen]
        shown = [worker for place, worker in enumerate(shown) if place in chosen]
    lines = _rows(shown, width)
    if left_out and room:
        counts = Counter(worker.state for worker in left_out)
        states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        lines.append(_line(_cut(f"… {len(left_out)} more: {states}", width), "dim"))
    return lines


def _rows(workers: Sequence[WorkerView], width: int) -> list[Text]:
    if not workers:
        return []
    names = min(_LONGEST_NAME, max(cell_len(worker.name) for worker in workers))
    devices = min(_LONGEST_DEVICE, max(cell_len(worker.device) for worker in workers))
    states = max(len(worker.state) for worker in workers)
    steps = max(len(_steps(worker)) for worker in workers)
    ages = max(len(format_duration(worker.seconds)) for worker in workers)
    # Two blanks between columns; the pair gets the rest.
    work = min(_LONGEST_WORK, max(0, width - names - devices - states - steps - ages - (10 if steps else 8)))
    rows = []
    for worker in workers:
        row = _line(_padded(one_line(worker.name, 100), names), "bold")
        row.append("  " + _padded(one_line(worker.device, 100), devices), style="dim")
        row.append("  " + worker.state.ljust(states), style=_LOOKS[worker.state][1])
        row.append("  " + _padded(one_line(worker.work, 500), work))
        if steps:
            row.append("  " + _steps(worker).rjust(steps))
        row.append("  " + format_duration(worker.seconds).rjust(ages), style="dim")
        rows.append(row)
    return rows


def _steps(worker: WorkerView) -> str:
    return f"{worker.step}/{worker.steps}" if worker.steps else ""


def _means(means: Sequence[MeanView], width: int, room: int) -> list[Text]:
    """In as many columns as fit; the last line is the overall mean."""
    if not means:
        return []
    count = sum(mean.count for mean in means)
    overall = MeanView("Overall", count, sum(mean.mean * mean.count for mean in means) / count)
    every = [*means, overall]
    counts = max(len(str(mean.count)) for mean in every)
    values = max(len(score_text(mean.mean)) for mean in every)
    others = len("  n=") + counts + len("  ") + values
    names = min(max(cell_len(_name(mean)) for mean in every), max(8, width - others))
    cells = [
        f"{_padded(_name(mean), names)}  n={mean.count:<{counts}}  {score_text(mean.mean):>{values}}" for mean in every
    ]
    across = max(1, (width + len(_GAP)) // (names + others + len(_GAP)))
    body = cells[:-1]
    rows = [_GAP.join(body[start : start + across]) for start in range(0, len(body), across)]
    if len(rows) + 1 > room:
        shown = max(0, room - 2)
        rows = [*rows[:shown], f"… {counted(len(means) - shown * across, 'more category', 'more categories')}"]
    return [*(_line(_cut(row, width)) for row in rows), _line(_cut(cells[-1], width), "bold")]


def _name(mean: MeanView) -> str:
    return one_line(mean.category, _LONGEST_CATEGORY)


def _line(text: str, style: str = "") -> Text:
    # The style of a whole text is lost where the text is rendered alone; that of a part is kept.
    return Text().append(text, style)


def _padded(text: str, width: int) -> str:
    """The text, exactly ``width`` cells wide; a Chinese character takes two."""
    return set_cell_size(_cut(text, width), width)


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""
