"""Layers that compute in another order give the same results."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.set_up import ROOT, reward_environment
from tests.workers.models.rewards import experts_check
from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.models.rewards import layers
from workers.models.rewards.layers import make_faster
from workers.models.rewards.qwen3_vl import Qwen3VLReward


@pytest.fixture(scope="module")
def reward(tiny_reward_path: Path) -> Qwen3VLReward:
    return loaded(tiny_reward_path)


def patches_for(embedding: Any, count: int = 50) -> Any:
    import torch

    size = embedding.in_channels * embedding.temporal_patch_size * embedding.patch_size**2
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def test_patches_are_embedded_by_a_matrix_product_that_gives_the_same_numbers(
    reward: Qwen3VLReward, tiny_reward_path: Path
) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    plain = AutoModelForImageTextToText.from_pretrained(tiny_reward_path, dtype=torch.float32).eval()
    embedding = reward._model.model.visual.patch_embed
    patches = patches_for(embedding)
    with torch.no_grad():
        expected = plain.model.visual.patch_embed(patches)
        assert torch.allclose(embedding(patches), expected, atol=1e-5, rtol=0)
    assert expected.abs().max() > 0.1


def test_no_convolution_is_left(reward: Qwen3VLReward, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def no_convolution(*_: Any, **__: Any) -> Any:
        raise AssertionError("a convolution")

    monkeypatch.setattr(torch.nn.Conv3d, "_conv_forward", no_convolution)
    [judgement] = score(reward, [asked(grey(90))], LOGITS).judgements
    assert judgement.score is not None


@pytest.mark.parametrize(
    "different", [{"stride": 1}, {"padding": 1}, {"dilation": 2, "stride": 3}, {"groups": 2}], ids=str
)
def test_any_other_convolution_stays_as_it_is(different: dict[str, int]) -> None:
    import torch

    convolution = torch.nn.Conv3d(2, 4, **{"kernel_size": 2, "stride": 2, **different})
    values = torch.randn(3, 2, 6, 6, 6)
    expected = convolution(values)
    assert torch.equal(make_faster(torch.nn.Sequential(convolution))(values), expected)


def test_a_kernel_that_is_moved_over_an_image_is_no_matrix_product_of_one_patch() -> None:
    import torch

    convolution = torch.nn.Conv3d(2, 4, kernel_size=2, stride=2)
    values = torch.randn(3, 2, 6, 4, 2)
    expected = convolution(values)
    assert torch.equal(make_faster(torch.nn.Sequential(convolution))(values), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_grouped_kernel_of_gpus_takes_rows_and_matrices_as_they_are(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """On a CPU, torch has a substitute of the kernel with the same arguments."""
    import torch

    generator = torch.Generator().manual_seed(0)
    rows, matrices = (
        torch.randn(*shape, generator=generator).to(getattr(torch, dtype)) for shape in ((20, 16), (8, 16, 24))
    )
    ends = torch.tensor([3, 3, 7, 7, 7, 15, 20, 20], dtype=torch.int32)
    expected = layers._by_expert(rows, matrices, ends)
    monkeypatch.setattr(layers, "_has_grouped_kernel", lambda _: True)
    assert torch.allclose(layers._by_expert(rows, matrices, ends), expected, atol=1e-6)
    assert torch.allclose(expected[3:7], rows[3:7] @ matrices[2], atol=1e-6)


def test_the_experts_of_this_version_of_transformers_are_computed_where_they_are_chosen(tmp_path: Path) -> None:
    experts_check.build(tmp_path)
    found = experts_check.compare(tmp_path)
    assert found["unchosen_experts_are_left_out"]
    assert found["difference_of_a_layer"] < 1e-5
    assert found["difference_of_answers"] < 1e-4
    assert found["same_weights"]


@pytest.mark.slow
def test_the_experts_of_the_isolated_environment_are_computed_where_they_are_chosen(tmp_path: Path) -> None:
    """Its transformers computes every expert for every token."""
    command = [str(reward_environment()), "-m", "tests.workers.models.rewards.experts_check", str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["all_are_computed_by_transformers"], "then nothing has to be replaced"
    assert found["unchosen_experts_are_left_out"]
    assert found["difference_of_a_layer"] < 1e-5
    assert found["difference_of_answers"] < 1e-4
    assert found["same_weights"]
