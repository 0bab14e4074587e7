"""The 95 % intervals contain the true value as often as they claim, from 50 pairs up, for all kinds of scores."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.statistics.describe import describe
from scripts.coverage import (
    Scores,
    coverage_of_bootstrap,
    coverage_of_correlations,
    coverage_of_mean,
    kinds_of_scores,
    students_intervals,
)

every_kind = pytest.mark.parametrize("kind", kinds_of_scores(), ids=lambda kind: kind.name)


@every_kind
def test_at_50_pairs_the_interval_of_the_mean_covers_93_to_97_percent(kind: Scores) -> None:
    assert 0.93 <= coverage_of_mean(kind, 50, 8000, seed=2) <= 0.97


@every_kind
def test_the_true_mean_is_the_mean_of_the_distribution(kind: Scores) -> None:
    scores = kind.draw(np.random.default_rng(4), 1, 400_000)
    assert float(scores.mean()) == pytest.approx(kind.mean(), abs=4 * float(scores.std()) / 400_000**0.5)


def test_a_percentile_bootstrap_covers_less_with_few_pairs() -> None:
    normal = kinds_of_scores()[0]
    assert 0.87 <= coverage_of_bootstrap(normal, 8, 2000, seed=2) <= 0.90
    assert 0.94 <= coverage_of_mean(normal, 8, 8000, seed=2) <= 0.96


def test_at_50_pairs_the_intervals_of_the_correlations_cover_93_to_97_percent() -> None:
    coverage = coverage_of_correlations(0.8, 50, 400, seed=2)
    assert all(0.93 <= share <= 0.97 for share in coverage), coverage


@every_kind
def test_the_simulated_interval_is_the_interval_of_the_reports(kind: Scores) -> None:
    scores = kind.draw(np.random.default_rng(1), 200, 8)
    for row, *interval in zip(scores.tolist(), *students_intervals(scores), strict=True):
        assert describe(row).ci95 == pytest.approx(tuple(interval), rel=1e-9, abs=1e-9)
