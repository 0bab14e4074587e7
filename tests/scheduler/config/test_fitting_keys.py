"""The keys by which a model fits on its GPU, of editors and rewards: identities, notes, what a dry run refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.document import Config
from scheduler.config.loading import Overrides
from scheduler.config.requests import reward_spec, score_identity_parameters
from scheduler.store.manifest import notes
from tests.scheduler.config.test_optimizations import installed
from tests.scheduler.config.written import load, problems_of

EDITOR = "diffusion_model: {type: simulated}\n"


def judged_with(folder: Path, keys: str, kind: str = "qwen3_vl") -> Config:
    return load(folder, f"{EDITOR}reward_model: {{type: {kind}, params: {{model_name: ./none, {keys}}}}}\n")


def test_a_judge_without_these_keys_is_the_one_of_earlier_runs(tmp_path: Path) -> None:
    plain = reward_spec(judged_with(tmp_path, ""))
    assert not {"offload", "quantization"} & plain.params.keys()
    assert reward_spec(judged_with(tmp_path, "offload: none, quantization: null")) == plain
    assert reward_spec(judged_with(tmp_path, "offload: group")).params["offload"] == "group"
    assert reward_spec(judged_with(tmp_path, "quantization: int8")).params["quantization"] == "int8"
    assert score_identity_parameters(judged_with(tmp_path, "quantization: int8")) == score_identity_parameters(
        judged_with(tmp_path, "")
    )  # it is in the model's fingerprint


@pytest.mark.parametrize(
    ("keys", "kind", "note"),
    [
        (
            "quantization: int8",
            "qwen3_vl",
            "The reward ran with approximate optimizations, which change its scores: quantization int8.",
        ),
        ("offload: group", "qwen3_vl", None),
        ("quantization: int8", "simulated", None),  # it has no weights
    ],
)
def test_a_report_says_first_that_the_judge_was_quantized(
    tmp_path: Path, keys: str, kind: str, note: str | None
) -> None:
    found = [text for text in notes(judged_with(tmp_path, keys, kind)) if "approximate" in text]
    assert found == ([] if note is None else [note])


@pytest.mark.parametrize("section", ["diffusion_model", "reward_model"])
def test_what_quantizes_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    params = "{model_name: ./none, quantization: float8, device: cpu}"
    text = f"{section}: {{params: {params}}}\n"

    def found() -> list[str]:
        problems = problems_of(tmp_path, text, Overrides(data=tmp_path / "data.json"), Environment())
        return [problem.message for problem in problems if problem.path == f"{section}.params.quantization"]

    monkeypatch.setitem(sys.modules, "torchao", None)  # as if it were not installed
    assert found() == ["needs the package torchao, which is not installed (line 1)"]
    installed(tmp_path, monkeypatch, "torchao")
    assert found() == []
