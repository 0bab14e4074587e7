"""A format that somebody else brings as a package: one file, and it is there everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.csv_format import install_csv_format, write_csv
from tests.harness import User, picture


@pytest.mark.slow
def test_a_format_from_a_file_outside_the_package_is_checked_run_and_named(user: User, tmp_path: Path) -> None:
    user.environment["PYTHONPATH"] = str(install_csv_format(tmp_path / "site"))
    picture((48, 32)).save(tmp_path / "a.png")
    rows = [(str(number), "spatial", "make it blue", "a.png") for number in range(3)]
    config = user.simulated(write_csv(tmp_path / "data.csv", rows))

    dry = user.run_config(config, "--dry-run")
    assert dry.code == 0, dry.output
    assert "data.csv (csv)" in dry.output

    result = user.run_config(config)
    assert result.code == 0, result.output
    manifest = json.loads((user.run_folder() / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["format"] == "csv"
    assert user.report()["provenance"]["data"]["format"] == "csv"
    assert len(user.rows("scored")) == 3

    named = user.config(
        "other",
        benchmark={"data_path": str(tmp_path / "data.csv"), "format": "cvs"},
        diffusion_model={"type": "identity"},
        reward_model={"type": "simulated"},
    )
    wrong = user.run_config(named)
    assert wrong.code == 2
    assert "benchmark.format: there is no format 'cvs'; known here: json, risebench, " in wrong.output
    assert "did you mean `csv`?" in wrong.output
