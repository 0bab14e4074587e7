"""Editors whose model is spread over several devices: the same edits, and no tensor meets one of another device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.tiny_models.pipelines import build_pipeline
from tests.set_up import tiny_model
from tests.workers.models.editors.tiny_classes import CopyingEditor, request, size_of, spec
from workers.interface import ModelError
from workers.models import device_memory
from workers.models.editors import pipeline_loading

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

KINDS = (
    "Flux2KleinKVPipeline",
    "LongCatImageEditPipeline",
    "QwenImageEditPlusPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
)
"""With caches of blocks, text encoders that see, and a unet, whose blocks take the outputs of earlier ones."""


def spread(folder: Path, count: int, residency: Any = "device", **optimizations: Any) -> CopyingEditor:
    """An editor on so many parts of CPU memory."""
    wanted = spec(folder)
    wanted.params["optimizations"] = optimizations
    editor = CopyingEditor(wanted, "cpu")
    editor.devices = tuple(f"cpu:{number}" for number in range(count))
    editor.load(residency)
    return editor


def edit(editor: CopyingEditor, name: str) -> Any:
    return np.asarray(editor.edit(request(**size_of(name)), lambda *_: None))


@pytest.fixture(scope="module")
def kontext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kontext") / "FluxKontextPipeline"
    build_pipeline("FluxKontextPipeline", folder)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_spread_pipeline_makes_the_same_edit_and_takes_activations_to_each_device(name: str, tmp_path: Path) -> None:
    from tests.workers.models.moving.told_apart import ToldApart

    build_pipeline(name, tmp_path / name)
    whole = edit(spread(tmp_path / name, 1), name)
    editor = spread(tmp_path / name, 3)
    assert editor._mover._layers
    with ToldApart(editor._mover) as devices:
        assert np.array_equal(edit(editor, name), whole)
    assert devices.moved > 10


def test_what_a_cache_keeps_of_layers_is_on_the_device_where_it_is_used() -> None:
    from tests.workers.models.moving.told_apart import ToldApart

    folder, name = tiny_model("editor"), "QwenImageEditPipeline"
    whole = edit(spread(folder, 1, first_block_cache=0.9), name)
    editor = spread(folder, 2, first_block_cache=0.9)
    with ToldApart(editor._mover):
        assert np.array_equal(edit(editor, name), whole)


def test_a_tensor_that_meets_one_of_another_device_is_noticed(kontext: Path) -> None:
    from accelerate.hooks import remove_hook_from_module

    from tests.workers.models.moving.told_apart import DeviceMixError, ToldApart

    editor = spread(kontext, 2)
    away = next(name for name in editor._mover._layers if "single_transformer_blocks" in name)
    remove_hook_from_module(editor._pipeline.transformer.get_submodule(away.partition(".")[2]))
    with ToldApart(editor._mover), pytest.raises(DeviceMixError, match="cpu:0, cpu:1"):
        edit(editor, "FluxKontextPipeline")


def test_spread_weights_leave_their_devices_and_come_back(kontext: Path) -> None:
    editor = spread(kontext, 2)
    before = edit(editor, "FluxKontextPipeline")
    layer = editor._pipeline.transformer.single_transformer_blocks[0]
    there = layer.norm.linear.weight.data_ptr()
    editor.place("host")
    away = layer.norm.linear.weight.data_ptr()
    editor.place("device")
    assert away not in {there, layer.norm.linear.weight.data_ptr()}
    assert np.array_equal(edit(editor, "FluxKontextPipeline"), before)
    from_host = spread(kontext, 2, "host")
    from_host.place("device")
    assert np.array_equal(edit(from_host, "FluxKontextPipeline"), before)
    assert from_host.host_bytes() == spread(kontext, 1).host_bytes()


def test_a_model_that_all_gpus_together_cannot_hold_is_refused_with_the_sizes(
    kontext: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_loading, "device_memory", lambda devices, free: [1000] * len(devices))
    with pytest.raises(ModelError, match=r"the weights take 0\.0 GB, and cpu:0, cpu:1 have 0\.0 and 0\.0 GB") as caught:
        spread(kontext, 2)
    assert caught.value.kind == "oom"


def test_a_loaded_model_is_not_replaced_in_place(kontext: Path) -> None:
    assert not spread(kontext, 2).replace(spec(kontext))
    assert device_memory.device_memory(["cpu:0", "cpu:1"], free=True)[0] > 10**11


def test_gpus_that_the_process_does_not_see_are_counted() -> None:
    import torch

    devices = [f"cuda:{number}" for number in range(torch.cuda.device_count() + 1)]
    with pytest.raises(ModelError, match=rf"is to have {len(devices)} GPUs .*, and torch sees {len(devices) - 1}"):
        device_memory.device_memory(devices, free=False)
