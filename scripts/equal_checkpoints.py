"""How often something is said about equal checkpoints that is not true: simulates series of them.

    python -m scripts.equal_checkpoints [--series 2000]

Every run has the same expected score of each pair; what differs is luck. Three ways to look for a run that is worse
than the observed best one (p at most 5%): without a correction, corrected by Holm for the comparisons with the best
alone, and for all comparisons of two runs, as ``warmbench series`` does.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from itertools import combinations

from scheduler.statistics.paired import holm, paired_test

WAYS = ("not corrected", "Holm over the best", "Holm over all")


def equal_checkpoints(runs: int, pairs: int, generator: random.Random, *, changed: float = 1.0) -> list[list[float]]:
    """Whole scores of equal runs, by run and pair; the share ``changed`` of the scores varies between runs."""
    difficulty = [generator.gauss(6.0, 2.0) for _ in range(pairs)]
    return [
        [
            float(round(generator.gauss(middle, 1.5) if generator.random() < changed else middle))
            for middle in difficulty
        ]
        for _ in range(runs)
    ]


def false_claims(scores: Sequence[Sequence[float]]) -> tuple[bool, ...]:
    """Whether some run seems to differ from the best one, by each of the ``WAYS``."""
    means = [sum(of_run) for of_run in scores]
    best = means.index(max(means))
    p_values = {}
    for one, other in combinations(range(len(scores)), 2):
        p = paired_test([now - before for before, now in zip(scores[one], scores[other], strict=True)]).p
        p_values[one, other] = 1.0 if p is None else p
    with_best = [p for numbers, p in p_values.items() if best in numbers]
    of_all = [p for numbers, p in zip(p_values, holm(list(p_values.values())), strict=True) if best in numbers]
    return tuple(min(found, default=1.0) <= 0.05 for found in (with_best, holm(with_best), of_all))


def error_rates(runs: int, pairs: int, series: int, *, changed: float = 1.0) -> list[float]:
    """The share of simulated series with a false claim, by each of the ``WAYS``."""
    generator = random.Random(f"{runs} {pairs} {changed}")  # noqa: S311 - statistics
    claims = [false_claims(equal_checkpoints(runs, pairs, generator, changed=changed)) for _ in range(series)]
    return [sum(of_way) / series for of_way in zip(*claims, strict=True)]


def false_alarms(scores: Sequence[Sequence[float]]) -> tuple[bool, ...]:
    """Whether the interval of the last run's difference to the best other one lies below 0: by itself, and corrected
    for all comparisons, as the gate of ``warmbench series --against best`` does.
    """
    *others, last = scores
    best = max(others, key=sum)
    test = paired_test([now - before for before, now in zip(best, last, strict=True)])
    intervals = test.interval(), test.interval(len(scores) * (len(scores) - 1) // 2)
    return tuple(interval is not None and interval[1] < 0 for interval in intervals)


def alarm_rates(runs: int, pairs: int, series: int) -> list[float]:
    """The share of simulated series with a false alarm, by itself and corrected."""
    generator = random.Random(f"{runs} {pairs}")  # noqa: S311 - statistics
    alarms = [false_alarms(equal_checkpoints(runs, pairs, generator)) for _ in range(series)]
    return [sum(of_way) / series for of_way in zip(*alarms, strict=True)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How often equal checkpoints seem to differ.")
    parser.add_argument("--series", type=int, default=2000, help="simulated series of each kind (default: 2000)")
    count = parser.parse_args().series
    print("| runs | pairs | scores that vary |", " | ".join(WAYS), "|")
    print("| ---: | ---: | ---: |", " | ".join("---:" for _ in WAYS), "|")
    for runs, pairs, changed in (
        (2, 100, 1.0),
        (6, 8, 1.0),
        (6, 100, 1.0),
        (6, 100, 0.05),
        (30, 100, 1.0),
        (30, 100, 0.05),
    ):
        rates = error_rates(runs, pairs, count, changed=changed)
        print(f"| {runs} | {pairs} | {changed:.0%} |", " | ".join(f"{rate:.1%}" for rate in rates), "|", flush=True)
    print("\n| runs | pairs | alarm of the gate beside the best, not corrected | corrected |")
    print("| ---: | ---: | ---: | ---: |")
    for runs in (2, 6, 30):
        print(f"| {runs} | 100 |", " | ".join(f"{rate:.1%}" for rate in alarm_rates(runs, 100, 10 * count)), "|")


if __name__ == "__main__":
    main()
