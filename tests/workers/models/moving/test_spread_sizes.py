"""Models of full size, without their weights, on pairs of GPUs of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scripts.full_size.architectures import architecture
from workers.interface import ModelError
from workers.models.fitting import GPUS, WORKING_BYTES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def modules() -> Mapping[str, Any]:
    """The components of Qwen-Image-Edit on torch's meta device, in bfloat16."""
    import torch
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    parts = architecture("full", None)
    with torch.device("meta"):
        transformer = QwenImageTransformer2DModel.from_config(dict(parts.transformer))
        encoder = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**parts.text_encoder))
        vae = AutoencoderKLQwenImage.from_config(dict(parts.vae))
    found = {"text_encoder": encoder, "transformer": transformer, "vae": vae}
    return {name: module.to(torch.bfloat16) for name, module in found.items()}


def held(modules: Mapping[str, Any], sizes: tuple[str, ...]) -> list[float]:
    """The gigabytes of the weights on each of these GPUs, by the modules that are moved there."""
    from accelerate.hooks import remove_hook_from_module

    from workers.models.moving.spread import spread_over

    memory = [GPUS[size] * 2**20 for size in sizes]
    devices = [f"cuda:{number}" for number in range(len(sizes))]
    mover = spread_over(modules, devices, memory, "editor", cut=("text_encoder", "transformer"))
    total = dict.fromkeys(devices, 0.0)
    for number, module in enumerate(modules.values()):
        for name, weight in module.named_parameters():
            key = f"{number}.{name}"
            layers = [str(device) for layer, device in mover._layers.items() if key.startswith(f"{layer}.")]
            place = layers[0] if layers else devices[0]
            total[place] += weight.numel() * weight.element_size() / 1e9
        remove_hook_from_module(module, recurse=True)
    return list(total.values())


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (("48 GB", "48 GB"), [29.0, 28.8]),
        (("24 GB", "80 GB"), [10.1, 47.7]),
        (("80 GB", "24 GB"), [47.9, 9.9]),
        (("80 GB", "80 GB"), [29.0, 28.8]),
        (("141 GB", "141 GB"), [29.0, 28.8]),
        (("24 GB",) * 4, [14.5, 14.5, 14.4, 14.4]),
    ],
)
def test_the_weights_are_where_there_is_room_for_them_and_for_the_work(
    modules: Mapping[str, Any], sizes: tuple[str, ...], expected: list[float]
) -> None:
    found = held(modules, sizes)
    assert found == pytest.approx(expected, abs=0.5)
    room = [(GPUS[size] * 2**20 - WORKING_BYTES["editor"]) / 1e9 for size in sizes]
    assert all(weights < space for weights, space in zip(found, room, strict=True))


def test_two_gpus_that_are_too_small_are_refused(modules: Mapping[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"the weights take 57\.\d GB, and cuda:0, cuda:1 have 25\.8 and 25\.8 GB"):
        held(modules, ("24 GB", "24 GB"))
