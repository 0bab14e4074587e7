"""A run that an earlier version made still counts: its results have the identities that they would get now.

``tests/recorded_runs.py`` says what the runs are and how to record them again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import Role
from scheduler.benchmark import load_benchmark
from scheduler.benchmark.units import EditUnit, ScoreUnit
from scheduler.config.document import Config
from scheduler.config.loading import load_config
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.stages.task import Task, build_task
from scheduler.store.ledger import read_ledger
from scheduler.store.rows import EditedRow, Row, ScoredRow
from tests.harness import User
from tests.recorded_runs import NAMES, RUNS, STAMP, link_models
from workers.fingerprint import fingerprint
from workers.models.registry import make_model

every_run = pytest.mark.parametrize("name", NAMES)


class RecordedRun:
    """A copy of a recorded run, whose folder is the working directory."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copytree(RUNS / name, folder, dirs_exist_ok=True)
        monkeypatch.chdir(folder)
        self.path = folder / "results" / "runs" / STAMP

    def config(self) -> Config:
        return load_config(Path("config.yaml"))

    def task(self) -> Task:
        config = self.config()
        assert config.benchmark.data_path is not None
        return build_task(config, load_benchmark(config.benchmark.data_path))

    def rows(self) -> list[Row]:
        return list(read_ledger(self.path / "results.jsonl"))

    def fingerprint(self, role: Role) -> str:
        manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        (fingerprint,) = {worker["fingerprint"] for worker in manifest["workers"] if worker["role"] == role}
        return str(fingerprint)


@every_run
def test_every_identity_of_its_ledger_is_the_one_that_is_computed_now(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RecordedRun(name, tmp_path, monkeypatch)
    config, task, rows = run.config(), run.task(), run.rows()
    edits = {EditUnit(row.category, row.pair_id, row.sample): row for row in rows if isinstance(row, EditedRow)}
    scores = [row for row in rows if isinstance(row, ScoredRow)]
    samples, passes = config.evaluation.samples_per_pair, config.evaluation.reward_passes
    assert (len(edits), len(scores)) == (4 * samples, 4 * samples * passes)
    for unit, edit in edits.items():
        assert edit.identity == task.edit_identity(unit, run.fingerprint("editor")), unit
    for score in scores:
        unit = EditUnit(score.category, score.pair_id, score.sample)
        identity = task.judging.identity(ScoreUnit(unit, score.pass_), edits[unit].sha256, run.fingerprint("reward"))
        assert score.identity == identity, unit


@every_run
def test_its_resolved_config_is_the_config_that_is_loaded_now(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RecordedRun(name, tmp_path, monkeypatch)
    assert load_config(run.path / "config.yaml") == run.config()


@pytest.mark.parametrize("name", ["simulated", "own"])
def test_its_models_have_the_fingerprints_that_they_would_get_now(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RecordedRun(name, tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    for spec in (editor_spec(run.config()), reward_spec(run.config())):
        files = make_model(spec, "cpu").weight_files()
        assert fingerprint(spec, files, tmp_path / "cache.json") == run.fingerprint(spec.role)


def assert_nothing_is_done_again(user: User, run: RecordedRun) -> None:
    before = run.rows()
    edits = sum(isinstance(row, EditedRow) for row in before)
    scores = sum(isinstance(row, ScoredRow) for row in before)
    result = user.run("run", "--config", "config.yaml", "--resume", STAMP)
    assert result.code == 0, result.output
    assert f"Reused: {edits} of {edits} edits, {scores} of {scores} scores" in result.output
    assert run.rows() == before


@pytest.mark.parametrize("name", ["simulated", pytest.param("own", marks=pytest.mark.slow)])
def test_it_resumes_with_nothing_done_again(
    name: str, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_nothing_is_done_again(user, RecordedRun(name, tmp_path, monkeypatch))


@pytest.mark.slow
def test_a_run_of_the_tiny_models_resumes_with_nothing_done_again(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_editor_path: Path, recorded_reward_path: Path
) -> None:
    """Needs the library versions of ``constraints.txt``: with others, the files of the tiny models differ."""
    run = RecordedRun("tiny", tmp_path, monkeypatch)
    link_models(tmp_path, tiny_editor_path, recorded_reward_path)
    assert_nothing_is_done_again(user, run)
