"""Many seeded runs, a line for each, and a summary; or a single run again, in detail."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.finding import KINDS
from tests.chaos.plan import draw_plan
from tests.chaos.play import Outcome, play


def runs(arguments: Sequence[str]) -> int:
    """``runs``: 0 if nothing is wrong with any of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos runs")
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    outcomes = []
    for outcome in _play_all(range(options.first, options.first + options.seeds), options.jobs):
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
    print(summary(outcomes, time.monotonic() - started))
    failing = [outcome for outcome in outcomes if outcome.findings]
    for outcome in failing:
        print(f"  seed {outcome.seed}: python -m tests.chaos replay {outcome.seed} --keep")
    return 1 if failing else 0


def replay(arguments: Sequence[str]) -> int:
    """``replay``: a single seed, in detail."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos replay")
    parser.add_argument("seed", type=int)
    parser.add_argument("--keep", action="store_true", help="keep the folder even if nothing is wrong")
    options = parser.parse_args(arguments)
    outcome = play(
        draw_plan(options.seed),
        say=lambda text: print(text, flush=True),
        keep=lambda outcome: options.keep or bool(outcome.findings),
    )
    print(_line(outcome))
    return 1 if outcome.findings else 0


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """How many runs had a finding of each kind, in one line."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update({finding.kind for finding in outcome.findings})
    kinds = ", ".join(f"{counts[kind]} {kind.replace('_', ' ')}" for kind in KINDS)
    injected = sum(outcome.injected for outcome in outcomes)
    resumes = sum(outcome.resumes for outcome in outcomes)
    played = sum(outcome.skipped is None for outcome in outcomes)
    skipped = f", {len(outcomes) - played} skipped" if played < len(outcomes) else ""
    return f"{played} runs: {kinds} ({injected} faults injected, {resumes} resumes{skipped}, {seconds:.0f} s)"


def _play_all(seeds: range, jobs: int) -> Iterator[Outcome]:
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda seed: play(draw_plan(seed)), seeds)


def _line(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"seed {outcome.seed:4}: skipped: {outcome.skipped}"
    head = (
        f"seed {outcome.seed:4}: {outcome.parts} parts, {outcome.injected} faults, {outcome.resumes} resumes, "
        f"{outcome.seconds:.1f} s"
    )
    return "\n    ".join([head, *(str(finding) for finding in outcome.findings)]) if outcome.findings else f"{head}, ok"
