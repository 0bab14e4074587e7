"""How long a run will take, estimated from earlier runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import Role
from scheduler.config.checks.environment import Environment
from scheduler.config.document import Config
from scheduler.config.loading import Overrides, load_config
from scheduler.stages.clock import StageClock
from scheduler.stages.costs import CostLine, KnownCosts
from scheduler.stages.estimate import Estimate, Forecast, StageEstimate, edit_seconds, rough, seconds_of

KINDS: dict[Role, str] = {"editor": "cpu", "reward": "cpu"}
BOTH: dict[Role, int] = {"editor": 2, "reward": 1}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.yaml"
    (tmp_path / "data.json").write_text("{}")
    path.write_text(
        f"benchmark: {{data_path: {tmp_path}/data.json}}\n"
        "diffusion_model: {type: simulated, params: {device_ids: [cpu, cpu]}}\n"
        "reward_model: {type: simulated, params: {device: cpu}}\n"
        f"evaluation: {{output_dir: {tmp_path}}}\n"
    )
    return load_config(path, Overrides(), Environment(gpus=()))


def worked(*spans: tuple[str, float, float]) -> StageClock:
    clock = StageClock()
    for worker, started, finished in spans:
        clock.worked(worker, started, finished)
    return clock


def taught(config: Config, path: Path, *, wall: float = 24.0, runs: int = 1) -> Forecast:
    """After runs of two editors, ten edits of two seconds each, that took ``wall`` seconds, and ten scores of 0.5."""
    for _ in range(runs):
        forecast = Forecast(config, KnownCosts(path), KINDS)
        for _ in range(10):
            forecast.line.note(1.0, 2.0)
        edit = worked(*(("editor-0", 0.0, 10.0), ("editor-1", wall - 10.0, wall)))
        forecast.learn(edit, 10, worked(("reward-0", 0.0, 5.0)), 10)
    return Forecast(config, KnownCosts(path), KINDS)


def test_without_earlier_runs_there_is_no_estimate(config: Config, tmp_path: Path) -> None:
    forecast = Forecast(config, KnownCosts(tmp_path / "costs.json"), KINDS)
    assert forecast.estimate([1.0] * 4, 4, BOTH, one_after_the_other=False) is None
    forecast.learn(StageClock(), 0, StageClock(), 0)
    assert not (tmp_path / "costs.json").exists(), "a run that did nothing leaves nothing"


def test_a_run_is_estimated_from_earlier_runs(config: Config, tmp_path: Path) -> None:
    forecast = taught(config, tmp_path / "costs.json", runs=3)
    estimate = forecast.estimate([1.0] * 100, 100, BOTH, one_after_the_other=False)
    assert estimate is not None
    # 100 edits of 2 s on two editors, which lost 24 seconds to every 10 that they worked; 100 scores of 0.5 s.
    assert estimate.edit is not None
    assert estimate.edit.seconds == pytest.approx(240.0)
    assert estimate.score is not None
    assert estimate.score.seconds == pytest.approx(50.0)
    assert estimate.seconds == pytest.approx(240.0), "scores follow the edits"
    text = "Estimated: about 4 min (edits 4 min on 2 editors, scores 50 s on 1 reward), from 3 earlier runs"
    assert str(estimate) == text

    shared = forecast.estimate([1.0] * 100, 100, BOTH, one_after_the_other=True)
    assert shared is not None
    assert shared.seconds == pytest.approx(290.0)
    assert "scores 50 s on 1 reward, one after the other)" in str(shared)


def test_another_number_of_editors_is_estimated_without_the_loss(config: Config, tmp_path: Path) -> None:
    forecast = taught(config, tmp_path / "costs.json")
    estimate = forecast.estimate([1.0] * 100, 0, {"editor": 4, "reward": 1}, one_after_the_other=False)
    assert estimate is not None
    assert estimate.edit == StageEstimate(50.0, 4)
    assert estimate.score is None
    assert str(estimate) == "Estimated: about 50 s (edits 50 s on 4 editors), from 1 earlier run"


def test_loading_is_part_of_it_unless_the_models_are_loaded(config: Config, tmp_path: Path) -> None:
    forecast = taught(config, tmp_path / "costs.json")

    def text(workers: dict[Role, int], *, loaded: bool) -> str:
        estimate = forecast.estimate([1.0] * 100, 0, workers, one_after_the_other=True, loaded=loaded)
        return str(estimate).partition(", from")[0]

    assert text(BOTH, loaded=False) == "Estimated: about 4 min without loading (edits 4 min on 2 editors)"
    for seconds in (300.0, 360.0):
        forecast.learn_loading(seconds, BOTH)
    assert text(BOTH, loaded=False) == "Estimated: about 10 min (loading 6 min, edits 4 min on 2 editors)"
    assert text(BOTH, loaded=True) == "Estimated: about 4 min (edits 4 min on 2 editors)"
    assert "without loading" in text({"editor": 4, "reward": 1}, loaded=False), "more workers load longer"


def test_scoring_alone_needs_nothing_of_the_edits(config: Config, tmp_path: Path) -> None:
    forecast = taught(config, tmp_path / "costs.json")
    estimate = forecast.estimate([], 10, {"reward": 2}, one_after_the_other=False)
    assert estimate == Estimate(None, StageEstimate(2.5, 2), one_after_the_other=False, runs=1)
    assert forecast.estimate([], 0, {"reward": 2}, one_after_the_other=False) is None


def test_a_file_of_an_older_version_is_understood(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    taught(config, path)
    path.write_text(path.read_text().replace(',"runs":1', ""))
    estimate = Forecast(config, KnownCosts(path), KINDS).estimate([1.0], 0, {"editor": 1}, one_after_the_other=False)
    assert estimate is not None
    assert estimate.runs == 1


@given(
    costs=st.lists(st.floats(0.1, 100), min_size=1, max_size=60),
    editors=st.integers(1, 8),
    round_size=st.integers(0, 3),
)
def test_it_is_never_less_than_the_work_and_never_more_than_one_after_another(
    costs: list[float], editors: int, round_size: int
) -> None:
    seconds = edit_seconds(costs, editors, round_size=round_size, loss=None)
    assert sum(costs) / editors - 1e-6 <= seconds
    assert seconds <= max(costs) * len(costs) + 1e-6
    assert seconds >= max(costs) - 1e-6


def test_rounds_last_as_long_as_their_most_expensive_edit() -> None:
    assert edit_seconds([10, 1, 10, 1], 2, round_size=1, loss=None) == 20
    assert edit_seconds([10, 10, 1, 1], 2, round_size=1, loss=None) == 11
    assert edit_seconds([10, 10, 1, 1], 2, round_size=0, loss=None) == 11
    assert edit_seconds([10, 10, 1], 2, round_size=1, loss=1.5) == 15.75


def test_sizes_count_only_where_they_matter() -> None:
    flat, steep = CostLine(), CostLine()
    for number in range(40):
        size = 0.5 + number % 4
        flat.note(size, 2.0 + 0.01 * (number % 3))
        steep.note(size, 3 * size)
    assert len(set(seconds_of(flat, [0.5, 3.5]))) == 1
    assert seconds_of(steep, [0.5, 3.5]) == [pytest.approx(1.5), pytest.approx(10.5)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (50, "50 s"), (2520, "42 min"), (9000, "2.5 h"), (180_000, "2.1 days")],
)
def test_a_time_is_rounded_to_its_precision(seconds: float, text: str) -> None:
    assert rough(seconds) == text
