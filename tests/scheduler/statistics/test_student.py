"""The quantile of Student's t against scipy."""

from __future__ import annotations

import pytest

from scheduler.statistics.student import t95


@pytest.mark.parametrize("degrees", [*range(1, 60), 99, 270, 1000, 9999])
def test_it_is_that_of_scipy(degrees: int) -> None:
    from scipy.special import stdtrit

    assert t95(degrees) == pytest.approx(float(stdtrit(degrees, 0.975)), rel=1e-13)
