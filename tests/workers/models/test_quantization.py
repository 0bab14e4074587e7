"""Weights in fewer bits, by the real torchao. What needs a GPU (`nf4`) is refused here, and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.set_up import ROOT, quantization_packages, tiny_model
from workers.interface import ModelError
from workers.models.quantization import checked_quantization


def figures_of(module: str, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    """What a module prints in a process that has torchao on its path."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{quantization_packages()}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    figures: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
def test_linear_layers_are_stored_in_fewer_bits_and_edits_stay_near() -> None:
    figures = figures_of("tests.workers.models.editors.quantized_edits", tiny_model("editor"))
    assert [*figures] == ["int8 none", "int8 model", "float8 none", "float8 model"]
    for name, found in figures.items():
        assert found["size"] < 0.8, name
        assert found["host"] == 1, name
        assert 0 < found["difference"] < 20, name
        assert found["same again"], name
        assert (found["vae"], found["transformer"]) == ("Tensor", f"{name.split()[0].capitalize()}Tensor")
    assert figures["int8 none"] == figures["int8 model"]


@pytest.mark.slow
def test_a_judge_is_stored_in_fewer_bits_but_for_its_experts_and_scores_stay_near(tmp_path: Path) -> None:
    figures = figures_of("tests.workers.models.rewards.quantized_scores", tiny_model("reward"), tmp_path)
    assert [*figures] == ["dense int8", "dense float8", "mixture int8"]
    for name, found in figures.items():
        assert found["size"] < 0.9, name
        assert 0.97 < found["computed"] < 1, name  # of the real bytes; scales are not counted
        assert found["host"] == 1, name
        assert found["same again"], name
        assert found["layers"] == [f"{name.split()[1].capitalize()}Tensor"], name
        assert found["head"] == "Tensor", name
        assert found["version"], name
        if name != "mixture int8":  # whose random weights prefer no numbers
            assert len(found["scores"]) == 2, name
            assert 0 < found["difference"] < 1, name
    assert figures["mixture int8"]["experts"] == "Tensor"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("int8", "int8 needs the package torchao, which is not installed"),
        ("nf4", "nf4 needs a GPU, and torch sees none here"),
        ("int4", "must be one of int8, float8, nf4, not 'int4'"),
    ],
)
def test_what_cannot_be_is_named(kind: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        checked_quantization({"quantization": kind}, "diffusion_model")
    assert caught.value.kind == "config"
    assert str(caught.value).startswith("diffusion_model.params.quantization")
    assert checked_quantization({}, "diffusion_model") is None
