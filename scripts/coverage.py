"""``python -m scripts.coverage``: simulates how often the 95 % intervals of the reports contain the true value.

It prints Markdown tables, the same on every machine: for ``ci95`` and a percentile bootstrap, and for correlations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scheduler.statistics.correlations import kendall, spearman
from scheduler.statistics.describe import describe

SIZES = (8, 20, 50, 100, 270)
_BLOCK = 2_000
_RESAMPLES = 1_000
_CHECKED = 20

Draw = Callable[[Any, int, int], Any]
"""Draws scores (generator, runs, pairs) of shape (runs, pairs)."""


@dataclass(frozen=True)
class Scores:
    """A distribution of scores, and its mean."""

    name: str
    draw: Draw
    mean: Callable[[], float]


def kinds_of_scores() -> list[Scores]:
    """A normal distribution, and distributions as in benchmarks: skewed, at both ends, integers."""
    return [
        Scores("normal", lambda rng, runs, pairs: rng.normal(7, 1, (runs, pairs)), lambda: 7.0),
        _beta("most are good: 10 x Beta(5, 1.5)", 5, 1.5, rounded=False),
        _beta("the same, whole numbers", 5, 1.5, rounded=True),
        _beta("either 0 or 10: 10 x Beta(0.5, 0.5), whole numbers", 0.5, 0.5, rounded=True),
        _beta("few succeed: 10 x Beta(0.3, 2), whole numbers", 0.3, 2, rounded=True),
    ]


def students_intervals(scores: Any) -> tuple[Any, Any]:
    """``ci95`` of each row of ``scores``: low ends, high ends.

    Raises:
        AssertionError: ``scheduler.statistics.describe`` gives other intervals for the first rows.
    """
    from scipy.special import stdtrit

    pairs = scores.shape[1]
    margin = float(stdtrit(pairs - 1, 0.975)) * scores.std(axis=1, ddof=1) / math.sqrt(pairs)
    centre = scores.mean(axis=1)
    low, high = centre - margin, centre + margin
    for row in range(min(_CHECKED, len(scores))):
        if not np.allclose(describe(scores[row].tolist()).ci95, (low[row], high[row]), rtol=1e-9, atol=1e-9):
            raise AssertionError("this is not the interval that scheduler.statistics.describe computes")
    return low, high


def coverage_of_mean(kind: Scores, pairs: int, runs: int, seed: int) -> float:
    """The share of ``runs`` whose ``ci95`` contains the true mean."""
    mean, (low, high) = kind.mean(), students_intervals(kind.draw(np.random.default_rng([seed, pairs]), runs, pairs))
    return float(((low <= mean) & (mean <= high)).mean())


def coverage_of_bootstrap(kind: Scores, pairs: int, runs: int, seed: int) -> float:
    """The same for the intervals of a percentile bootstrap, with the same scores."""
    rng = np.random.default_rng([seed, pairs])
    scores = kind.draw(rng, runs, pairs)
    # The drawn pairs do not depend on the scores, so all runs share them: a matrix of how often each pair is drawn.
    weights = rng.multinomial(pairs, [1 / pairs] * pairs, size=_RESAMPLES).T / pairs
    mean, covered = kind.mean(), 0
    for start in range(0, runs, _BLOCK):
        low, high = np.quantile(scores[start : start + _BLOCK] @ weights, (0.025, 0.975), axis=1)
        covered += int(((low <= mean) & (mean <= high)).sum())
    return covered / runs


def coverage_of_correlations(rho: float, pairs: int, runs: int, seed: int) -> tuple[float, float]:
    """The coverage for Spearman's rho and Kendall's tau-b. People's scores are 1 to 5, the reward's 0 to 10; both come
    from normal values with the correlation ``rho``. Runs without an interval do not count.
    """
    from scipy import stats

    rng = np.random.default_rng([seed, pairs])
    many = _both_scores(rng, rho, 400_000)
    truth = float(stats.spearmanr(*many).statistic), float(stats.kendalltau(*many).statistic)
    covered, counted = [0, 0], [0, 0]
    for _ in range(runs):
        first, other = (scores.tolist() for scores in _both_scores(rng, rho, pairs))
        for place, correlation in enumerate((spearman(first, other), kendall(first, other))):
            if correlation.ci95 is not None:
                counted[place] += 1
                covered[place] += correlation.ci95[0] <= truth[place] <= correlation.ci95[1]
    return covered[0] / counted[0], covered[1] / counted[1]


def _beta(name: str, a: float, b: float, *, rounded: bool) -> Scores:
    def draw(rng: Any, runs: int, pairs: int) -> Any:
        scores = 10 * rng.beta(a, b, (runs, pairs))
        return np.rint(scores) if rounded else scores

    def mean() -> float:
        if not rounded:
            return 10 * a / (a + b)
        from scipy import stats

        # The sum over all scores of the probability of that score or a higher one.
        return float(sum(stats.beta.sf((score - 0.5) / 10, a, b) for score in range(1, 11)))

    return Scores(name, draw, mean)


def _both_scores(rng: Any, rho: float, pairs: int) -> tuple[Any, Any]:
    people = rng.standard_normal(pairs)
    reward = rho * people + math.sqrt(1 - rho**2) * rng.standard_normal(pairs)
    return np.clip(np.rint(3.6 + people), 1, 5), np.clip(np.rint(7 + 1.6 * reward), 0, 10)


def main(runs: int = 20_000, seed: int = 1) -> None:
    """Print the tables."""
    print(f"Share of {runs} simulated runs whose interval contains the true mean (percentile bootstrap in brackets).\n")
    print(f"| scores | {' | '.join(f'n = {pairs}' for pairs in SIZES)} |")
    print(f"| :--- |{' ---: |' * len(SIZES)}")
    for kind in kinds_of_scores():
        cells = [
            f"{coverage_of_mean(kind, pairs, runs, seed):.1%} ({coverage_of_bootstrap(kind, pairs, runs, seed):.1%})"
            for pairs in SIZES
        ]
        print(f"| {kind.name} | {' | '.join(cells)} |", flush=True)
    runs = max(1, runs // 10)
    print(f"\nShare of {runs} simulated runs whose interval contains the true correlation.\n")
    sizes = SIZES[:-1]
    print(f"| correlation behind the scores | {' | '.join(f'n = {pairs}' for pairs in sizes)} |")
    print(f"| :--- |{' ---: |' * len(sizes)}")
    for rho in (0.0, 0.5, 0.8):
        coverage = [coverage_of_correlations(rho, pairs, runs, seed) for pairs in sizes]
        for place, name in enumerate(("Spearman", "Kendall tau-b")):
            print(f"| {name}, {rho:g} | {' | '.join(f'{both[place]:.1%}' for both in coverage)} |", flush=True)


if __name__ == "__main__":
    main()
