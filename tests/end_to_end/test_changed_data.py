"""Data that change during a run are a failure of the run; data that were bad before it are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.pools import finished, gate_closed, gated, is_logged, is_planned
from tests.harness import User, encoded, pair, picture, small_benchmark, write_data
from tests.waiting import wait_until


@pytest.mark.slow
def test_sources_that_change_during_a_run_count_as_failures_and_a_resumed_run_takes_the_new_ones(
    user: User, tmp_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json")
    config = gated(user, data)
    with gate_closed(user):
        run = user.start_run(config, "--max-failures", "2")
        wait_until(lambda: is_planned(user))
        small_benchmark(data, size=(50, 40))
    result = finished(run)

    assert result.code == 1, result.output
    assert "pairs failed, more than the limit of 2" in result.output
    assert "has changed since the benchmark was loaded: " in result.output
    assert {(row["stage"], row["kind"]) for row in user.rows("failed")} == {("edit", "source_changed")}

    result = user.run_config(config, "--resume", "latest")
    assert result.code == 0, result.output
    assert user.left_over() == []


@pytest.mark.slow
def test_a_source_that_changes_before_it_is_shown_to_the_reward_is_a_failure_of_the_stage_score(
    user: User, tmp_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    for category in ("物理", "spatial"):
        (tmp_path / "edits" / category).mkdir(parents=True)
        for number in range(2):
            picture((32, 32)).save(tmp_path / "edits" / category / f"{number}.png")
    config = gated(user, data, compare_with_original=True)
    with gate_closed(user):
        run = user.start("score", "--images", "edits", "--config", config)
        wait_until(lambda: is_logged(user, "Launching pool"))
        small_benchmark(data, pairs=2, size=(50, 40))
    result = finished(run)

    assert result.code == 3, result.output
    failures = [(row["stage"], row["kind"]) for row in user.rows("failed")]
    assert failures == [("score", "source_changed")] * 4


@pytest.mark.slow
@pytest.mark.warm
def test_pairs_that_were_bad_before_the_run_do_not_count(user: User, tmp_path: Path) -> None:
    good = encoded(picture((32, 32)))
    bad = [pair(number, "%%%") for number in range(3)] + [pair("empty", good, "")]
    config = user.simulated(write_data(tmp_path / "data.json", {"c": [*bad, pair("good", good)]}))
    result = user.run_config(config, "--max-failures", "0")

    assert result.code == 3, result.output
    assert user.report()["overall"]["num_failed"] == 4
    assert user.report()["overall"]["num_samples"] == 1
