"""Weights in fewer bits, by the real torchao. What needs a GPU (`nf4`) is refused here, and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.set_up import ROOT, quantization_packages, tiny_model
from workers.interface import ModelError
from workers.models.quantization import checked_quantization


@pytest.mark.slow
def test_linear_layers_are_stored_in_fewer_bits_and_edits_stay_near() -> None:
    module = "tests.workers.models.editors.quantized_edits"
    path = f"{ROOT}{os.pathsep}{quantization_packages()}"
    done = subprocess.run(
        [sys.executable, "-m", module, tiny_model("editor")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    figures = json.loads(done.stdout)
    assert [*figures] == ["int8 none", "int8 model", "float8 none", "float8 model"]
    for name, found in figures.items():
        assert found["size"] < 0.8, name
        assert found["host"] == 1, name
        assert 0 < found["difference"] < 20, name
        assert found["same again"], name
        assert (found["vae"], found["transformer"]) == ("Tensor", f"{name.split()[0].capitalize()}Tensor")
    assert figures["int8 none"] == figures["int8 model"]


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
