"""What a run may ask of the reward, what it says of itself, and how it fails to load."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ModelSpec
from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.interface import ModelError
from workers.models.rewards.qwen3_vl import Qwen3VLReward


@pytest.fixture(scope="module")
def reward(tiny_reward_path: Path) -> Qwen3VLReward:
    """Random weights: its replies are noise."""
    return loaded(tiny_reward_path)


def test_the_score_of_a_scale_stays_on_it(reward: Qwen3VLReward) -> None:
    [judgement] = score(reward, [asked(grey(50))], {**LOGITS, "score_range": [1, 5]}).judgements
    assert judgement.score is not None
    assert 1 <= judgement.score <= 5
    shares = json.loads(str(judgement.response))["numbers"]
    assert list(shares) == ["1", "2", "3", "4", "5"]
    assert math.isclose(sum(shares.values()), 1, abs_tol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"scoring": "guess"}, "scoring"),
        ({"scoring": "logits", "score_range": [0, 100]}, "score_range"),
        ({"score_range": [5, 1]}, "score_range"),
        ({"score_range": [True, 3]}, "score_range"),
        ({"score_range": [0, math.inf]}, "score_range"),
        ({"score_range": [-1e9, 1e9]}, "score_range"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_new_tokens": "many"}, "max_new_tokens"),
        ({"use_batch_inference": "yes"}, "use_batch_inference"),
        ({"min_pixels": 500, "max_pixels": 100}, "min_pixels"),
    ],
)
def test_a_wrong_parameter_is_named(reward: Qwen3VLReward, parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        score(reward, [asked(grey(0))], parameters)
    assert caught.value.kind == "config"


def test_a_loaded_model_says_what_it_is(reward: Qwen3VLReward, tiny_reward_path: Path) -> None:
    names = {Path(name).name for name in reward.weight_files()}
    assert {"model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json"} <= names
    assert all(Path(name).is_absolute() for name in reward.weight_files())
    weights = (tiny_reward_path / "model.safetensors").stat().st_size
    assert reward.size_bytes() == pytest.approx(weights, rel=0.02)
    assert {"torch", "transformers", "pillow"} <= set(reward.versions())


def test_a_model_that_was_moved_scores_as_before(reward: Qwen3VLReward) -> None:
    before = score(reward, [asked(grey(77))], LOGITS).judgements
    reward.place("host")
    reward.place("device")
    assert score(reward, [asked(grey(77))], LOGITS).judgements == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_dtype_is_the_one_asked_for(tiny_reward_path: Path, dtype: str) -> None:
    import torch

    model = loaded(tiny_reward_path, dtype=dtype)
    assert model._model.dtype == getattr(torch, dtype)
    [judgement] = score(model, [asked(grey(0))], LOGITS).judgements
    assert judgement.score is not None


def test_flash_attention_without_cuda_is_one_warning(tiny_reward_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = loaded(tiny_reward_path, use_flash_attention=True)
    assert model._model.config._attn_implementation == "sdpa"
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        "use_flash_attention is on, but the device is cpu, and it needs CUDA: torch's own attention (sdpa) is used"
    ]


@pytest.mark.parametrize("params", [{"dtype": "int3"}, {"threads_per_worker": 0}])
def test_a_wrong_load_parameter_is_named(tiny_reward_path: Path, params: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(params))) as caught:
        loaded(tiny_reward_path, **params)
    assert caught.value.kind == "config"


def test_a_checkpoint_that_lacks_weights_is_not_filled_up_with_random_ones(
    tiny_reward_path: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_reward_path, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    lost = next(name for name in weights if "layers.1.mlp" in name)
    save_file(
        {name: tensor for name, tensor in weights.items() if name != lost}, tmp_path / "model" / "model.safetensors"
    )
    with pytest.raises(ModelError, match="lacks weights, such as") as caught:
        loaded(tmp_path / "model")
    assert caught.value.kind == "load"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("model.safetensors", b"no weights at all", "it was cut off"), ("config.json", b"{", "can't be loaded")],
)
def test_a_damaged_file_is_a_load_error(
    tiny_reward_path: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    shutil.copytree(tiny_reward_path, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        loaded(tmp_path / "model")
    assert caught.value.kind == "load"


def test_weights_of_the_files_own_dtype_are_the_files_pages_and_no_copy_of_them(tiny_reward_path: Path) -> None:
    """Pages of a file that nobody writes to are in memory once, however many workers map them."""
    file = tiny_reward_path / "model.safetensors"
    same, converted = loaded(tiny_reward_path, dtype="float32"), loaded(tiny_reward_path, dtype="bfloat16")
    score(same, [asked(grey(0))], LOGITS)
    where, own_kb = mappings_of(file)
    assert all(any(weight.data_ptr() in place for place in where) for weight in same._model.parameters())
    assert not any(weight.data_ptr() in place for place in where for weight in converted._model.parameters())
    assert own_kb == 0


def mappings_of(file: Path) -> tuple[list[range], int]:
    """The addresses at which this process maps the file, and how much of that it has changed and so has to itself."""
    places, own_kb, inside = [], 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = line.endswith(str(file))
            places += [range(int(head[1], 16), int(head[2], 16))] if inside else []
        elif inside and line.startswith(("Private_Dirty:", "Anonymous:")):
            own_kb += int(line.split()[1])
    return places, own_kb


def test_a_missing_model_is_reported_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no-such-model") as caught:
        loaded(tmp_path / "no-such-model")
    assert caught.value.kind == "model_not_found"


def test_before_it_is_loaded_its_files_and_their_size_are_known(tiny_reward_path: Path) -> None:
    reward = Qwen3VLReward(ModelSpec(role="reward", type="qwen3_vl", name=str(tiny_reward_path)), "cpu")
    assert str(tiny_reward_path / "model.safetensors") in reward.weight_files()
    assert reward.size_bytes() == (tiny_reward_path / "model.safetensors").stat().st_size
