"""The rate of a judge is taken where all of its requests are in flight."""

from __future__ import annotations

import pytest

from scripts.bench.judging import steady_rate


def test_requests_in_waves_and_one_after_the_other_have_the_same_rate() -> None:
    waves = [(float(wave), wave + 1.0) for wave in range(20) for _ in range(4)]
    spread = [(number / 4, number / 4 + 1.0) for number in range(80)]
    assert steady_rate(waves, 4) == pytest.approx(4.0)
    assert steady_rate(spread, 4) == pytest.approx(4.0)


def test_neither_the_start_nor_the_end_counts() -> None:
    ramp = [(float(number), number + 1.0) for number in range(10)]
    full = [(10.0 + wave, 11.0 + wave) for wave in range(10) for _ in range(8)]
    tail = [(19.9, 40.0)]
    assert steady_rate([*ramp, *full, *tail], 8) == pytest.approx(8.0, rel=0.01)


def test_a_client_that_waits_between_its_requests_has_a_lower_rate() -> None:
    spans = [(1.25 * wave, 1.25 * wave + 1.0) for wave in range(20) for _ in range(4)]
    assert steady_rate(spans, 4) == pytest.approx(3.2, rel=0.02)
