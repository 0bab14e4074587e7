"""Workers whose model is spread over several GPUs: which GPUs each one gets, and which groups cannot be made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.base.stages import Stage
from scheduler.config.layout import Layout, LayoutError, presumed_layout, resolve_layout
from scheduler.config.problems import ConfigError
from tests.scheduler.config.test_devices import CPU, MULTI, SINGLE, config, cuda, elsewhere, gpus
from tests.scheduler.config.written import load

PAIR: dict[str, Any] = {"gpus_per_worker": 2}


@pytest.mark.parametrize(
    ("editor", "editor_params", "reward_params", "count", "expected"),
    [
        (SINGLE, PAIR, {}, 2, (("cuda:0+1",), cuda(0), "swap")),
        (SINGLE, PAIR, PAIR, 4, (("cuda:0+1",), ("cuda:0+1",), "swap")),
        (SINGLE, {}, PAIR, 2, (cuda(0), ("cuda:0+1",), "swap")),
        (SINGLE, {**PAIR, "device": "cuda:2"}, {"device": "cuda:0"}, 4, (("cuda:2+3",), cuda(0), "resident")),
        (SINGLE, {**PAIR, "device": "cuda:2"}, {"device": "cuda:3"}, 4, (("cuda:2+3",), cuda(3), "swap")),
        (SINGLE, {**PAIR, "device_ids": [3, 0]}, {}, 4, (("cuda:3+0",), cuda(1), "resident")),
        (MULTI, {**PAIR, "device_ids": [0, 1, 2, 3]}, {}, 4, (("cuda:0+1", "cuda:2+3"), cuda(0, 1, 2, 3), "swap")),
        (MULTI, {**PAIR, "device_ids": [0, 1, 2, 3]}, {}, 6, (("cuda:0+1", "cuda:2+3"), cuda(4), "resident")),
        (MULTI, {**PAIR, "device_ids": [0, 1, 2, 3]}, PAIR, 6, (("cuda:0+1", "cuda:2+3"), ("cuda:4+5",), "resident")),
        (
            MULTI,
            {**PAIR, "device_ids": [0, 1, 2, 3]},
            PAIR,
            5,
            (("cuda:0+1", "cuda:2+3"), ("cuda:0+1", "cuda:2+3"), "swap"),
        ),
        (MULTI, {"device_ids": [0, 1]}, PAIR, 2, (cuda(0, 1), ("cuda:0+1",), "swap")),
        (MULTI, PAIR, PAIR, 8, (("cuda:0+1", "cuda:2+3", "cuda:4+5"), ("cuda:6+7",), "resident")),
        (MULTI, PAIR, {}, 3, (("cuda:0+1",), cuda(2), "resident")),
        (MULTI, PAIR, {}, 2, (("cuda:0+1",), cuda(0, 1), "swap")),
        (MULTI, PAIR, {"device": "cpu"}, 4, (("cuda:0+1", "cuda:2+3"), CPU, "resident")),
        (MULTI, PAIR, {"device_ids": [0, 1]}, 2, (("cuda:0+1",), cuda(0, 1), "swap")),
    ],
)
def test_the_layout(
    editor: str, editor_params: dict[str, Any], reward_params: dict[str, Any], count: int, expected: tuple[Any, ...]
) -> None:
    wanted = config(editor, editor_params, "qwen3_vl", reward_params)
    assert resolve_layout(wanted, gpus(count)) == Layout(*expected)


def test_groups_of_gpus_can_be_simulated_where_there_are_none() -> None:
    shared = config("simulated", {**PAIR, "device_ids": [0, 1, 2, 3]}, "simulated", {"device_ids": [1, 2]})
    assert resolve_layout(shared, []) == Layout(("cuda:0+1", "cuda:2+3"), cuda(1, 2), "swap")
    assert resolve_layout(config("simulated", PAIR, "simulated", {}), []) == Layout(CPU, CPU, "resident")
    assert presumed_layout(config(SINGLE, PAIR, "qwen3_vl", {})) == Layout(("cuda:0+1",), cuda(0), "swap")


@pytest.mark.parametrize(
    ("editor_params", "reward_params", "message"),
    [
        (
            {**PAIR, "device_ids": [0, 1, 2, 3, 4, 5, 6]},
            {},
            "is 2, but `device_ids` has 7 GPUs\n      list 6 or 8 of them: each worker takes the next 2",
        ),
        (
            {"gpus_per_worker": 4, "device_ids": [0]},
            {},
            "is 4, but `device_ids` has 1 GPU\n      list 4 of them: each worker takes the next 4",
        ),
        (
            {**PAIR, "device": "cpu"},
            {},
            "diffusion_model.params.gpus_per_worker: is 2, but a model on the CPU is on one device",
        ),
        (
            {},
            {**PAIR, "device_ids": [0, "cpu"]},
            "reward_model.params.gpus_per_worker: is 2, but a model on the CPU is on one device",
        ),
        ({"gpus_per_worker": 9}, {}, "diffusion_model.params.gpus_per_worker: must be 1 to 8, found 9"),
        ({"gpus_per_worker": 0}, {}, "diffusion_model.params.gpus_per_worker: must be 1 to 8, found 0"),
        (
            {**PAIR, "offload": "model"},
            {},
            "diffusion_model.params.gpus_per_worker: is 2 beside `offload`, which is for one GPU",
        ),
        (
            {**PAIR, "optimizations": "approximate"},
            {},
            "diffusion_model.params.gpus_per_worker: is 2, but `compile_repeated_blocks` is for a model on one GPU",
        ),
        (
            {**PAIR, "quantization": "int8"},
            {},
            "diffusion_model.params.gpus_per_worker: is 2, but quantized weights stay on one GPU",
        ),
    ],
)
def test_groups_that_make_no_sense_are_refused(
    editor_params: dict[str, Any], reward_params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(SINGLE, editor_params, "qwen3_vl", reward_params)
    assert message in re.sub(r" \(line \d+\)", "", str(caught.value))


@pytest.mark.parametrize(
    ("editor", "editor_params", "reward_params", "count", "message"),
    [
        (
            MULTI,
            PAIR,
            {},
            8,
            "cuda:4, cuda:5, cuda:6\n      leave some out: `device_ids: [0, 1, 2, 3, 4, 5]`",
        ),
        (MULTI, PAIR, {}, 1, "is 2, but editors have 1 GPU: cuda:0\n      make more GPUs visible"),
        (SINGLE, PAIR, {}, 1, "diffusion_model.params.device: there is no cuda:1: visible are cuda:0"),
        (SINGLE, {}, PAIR, 1, "reward_model.params.gpus_per_worker: there is no cuda:1: visible are cuda:0"),
        (
            MULTI,
            {"device_ids": [0, 1, 2]},
            PAIR,
            3,
            "reward_model.params.gpus_per_worker: is 2, but rewards share 3 GPUs: cuda:0, cuda:1, cuda:2",
        ),
    ],
)
def test_gpus_of_the_node_that_cannot_be_grouped_are_named(
    editor: str, editor_params: dict[str, Any], reward_params: dict[str, Any], count: int, message: str
) -> None:
    with pytest.raises(LayoutError) as caught:
        resolve_layout(config(editor, editor_params, "qwen3_vl", reward_params), gpus(count))
    assert message in str(caught.value)


def test_workers_elsewhere_ask_for_as_many_gpus_as_their_models_need(tmp_path: Path) -> None:
    wanted = elsewhere(tmp_path, ", editors: 3", params="gpus_per_worker: 2")
    assert resolve_layout(wanted, []) == Layout(("gpu:2",) * 3, ("gpu",), "resident")
    listed = elsewhere(tmp_path, "", params="gpus_per_worker: 2, device_ids: [0, 1, 2, 3]")
    edit: tuple[Stage, ...] = ("edit",)
    assert resolve_layout(listed, [], stages=edit).editors == ("gpu:2", "gpu:2")
    both = elsewhere(tmp_path, ", editors: 3", params="gpus_per_worker: 2, device_ids: [0, 1, 2, 3]")
    with pytest.raises(LayoutError, match=r"device_ids has 2 groups of 2 GPUs"):
        resolve_layout(both, [])


def test_an_engine_that_is_asked_for_fewer_gpus_than_a_model_needs_is_named(tmp_path: Path) -> None:
    text = "diffusion_model: {type: qwen_image_edit, params: {gpus_per_worker: 2}}\nreward_model: {type: qwen3_vl}\n"
    wanted = load(tmp_path, f"{text}pool: {{placer: ray, ray: {{editor: {{gpus: 1}}, reward: {{gpus: 0.5}}}}}}")
    with pytest.raises(LayoutError, match=r"gpus_per_worker: is 2, but pool\.ray\.editor\.gpus is 1\n") as caught:
        resolve_layout(wanted, [])
    assert len(caught.value.problems) == 1
