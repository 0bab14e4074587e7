"""Of equal checkpoints, a difference from the best one is claimed in at most 5% of the series."""

from __future__ import annotations

import pytest

from scripts.equal_checkpoints import alarm_rates, error_rates


def test_holm_over_all_pairs_of_runs_keeps_the_error_below_5_percent_and_over_the_best_alone_does_not() -> None:
    uncorrected, over_the_best, over_all = error_rates(6, 40, 1000)
    assert uncorrected > 0.25
    assert over_the_best > 0.06
    assert over_all <= 0.05


@pytest.mark.slow
def test_so_it_is_with_few_pairs_and_with_checkpoints_that_hardly_differ() -> None:
    assert error_rates(6, 5, 500)[-1] <= 0.05
    assert error_rates(6, 40, 500, changed=0.1)[-1] <= 0.05


def test_the_gate_beside_the_best_rarely_fails_an_equal_checkpoint() -> None:
    alone, corrected = alarm_rates(6, 40, 2000)
    assert alone > 0.05
    assert corrected <= 0.025
