"""A warm pool in which an earlier run's model could not be loaded: what later runs say and do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.pools import pids
from tests.harness import User, small_benchmark

SOURCE = """
import os
from workers.interface import Editor, ModelError

class Sometimes(Editor):
    def load(self, residency):
        if os.path.exists(self.spec.name + ".broken"):
            raise ModelError("load", f"{self.spec.name} is broken today")

    def edit(self, request, progress):
        return request.image
"""


@pytest.mark.slow
def test_an_earlier_checkpoints_error_is_shown_to_no_later_run_and_a_repaired_one_is_loaded_again(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "bad.broken").touch()
    config = user.config(
        benchmark={"data_path": str(small_benchmark(tmp_path / "data.json", pairs=1))},
        diffusion_model={"class_path": "mine.Sometimes", "params": {"device": "cpu", "model_name": "bad"}},
        reward_model={"type": "simulated", "params": {"device": "cpu"}},
    )

    def run(model: str, code: int) -> str:
        result = user.run_config(config, "--editor-model", model, "--keep-warm")
        assert result.code == code, result.output
        return result.output

    started = user.run("workers", "start", "--config", config)
    assert started.code == 1
    assert "bad is broken today" in started.output
    workers = pids(user, config)
    after = run("good", 0)
    assert "broken" not in after
    assert "ERROR" not in after
    assert after.count(": it is good now") == 1
    assert "Aborted: no editor is left: editor-0: bad is broken today" in run("bad", 1)

    (tmp_path / "bad.broken").unlink()
    repaired = run("bad", 0)
    assert "WARNING: editor-0 on cpu: could not load this model before: bad is broken today" in repaired
    assert "editor-0: loading the run's model in place: it could not be loaded before" in repaired
    assert "ERROR" not in repaired
    assert pids(user, config) == workers
    assert user.check("workers", "stop", "--config", config).code == 0
    assert user.left_over() == []
