"""LoRAs of the editor, on the real pipeline of diffusers: what they add to the weights, and what to the schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.models.editors.tiny_edits import edit, loaded, request, spec
from workers.interface import ModelError
from workers.models.editors.pipeline_loras import lora_files
from workers.models.editors.pipeline_options import can_be_replaced
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

QUICK = request(steps=2)


def test_a_lora_is_a_file_here_or_on_the_hub_and_its_weights_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "lightning.safetensors"
    file.touch()
    assert lora_files({}) == []
    own = [{"path": str(file)}, {"path": str(file), "weight": 0.5}]
    assert lora_files({"lightning_lora": str(file), "lora": own}) == [file] * 3
    for name in (str(tmp_path), f"{file}x", "./lightning.safetensors", "lightx2v/Qwen-Image-Lightning"):
        for options, key in (
            ({"lightning_lora": name}, "optimizations.lightning_lora"),
            ({"lora": [{"path": name}]}, "lora"),
        ):
            with pytest.raises(ModelError, match=f"params.{key}: there is no file") as caught:
                lora_files(options)
            assert caught.value.kind == "model_not_found"
    assert not can_be_replaced({"lightning_lora": str(file)}, {})
    assert not can_be_replaced({"lora": own}, {})
    assert not can_be_replaced({"fp8": True}, {})
    assert not can_be_replaced({}, {"offload": "model"})
    assert not can_be_replaced({}, {"quantization": "int8"})
    assert can_be_replaced({"first_block_cache": 0.1}, {"offload": "none"})


def lora_for(editor: QwenImageEditEditor, file: Path) -> dict[str, Any]:
    """Write a random LoRA of rank 4 and strength 2 for all attention of the editor; return what it adds to weights."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {}
    added: dict[str, Any] = {}
    for name, layer in editor._pipeline.transformer.named_modules():
        if isinstance(layer, torch.nn.Linear) and ".attn." in name:
            down = torch.randn(4, layer.in_features, generator=generator) / 10
            up = torch.randn(layer.out_features, 4, generator=generator) / 10
            state |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            state[f"{name}.alpha"] = torch.tensor(8.0)
            added[f"{name}.weight"] = 2 * up @ down
    save_file(state, file)
    return added


def test_a_lora_edits_as_if_it_were_added_to_the_weights_and_with_its_own_noise_schedule(
    tiny_editor_path: Path, tmp_path: Path
) -> None:
    import torch

    by_hand = loaded(tiny_editor_path)
    added = lora_for(by_hand, tmp_path / "l.safetensors")
    editor = loaded(tiny_editor_path, {"lightning_lora": str(tmp_path / "l.safetensors")})
    assert str(tmp_path / "l.safetensors") in editor.weight_files()
    assert editor._pipeline.scheduler.config.shift_terminal is None
    by_hand._pipeline.scheduler = editor._pipeline.scheduler
    with torch.no_grad():
        for name, difference in added.items():
            by_hand._pipeline.transformer.get_parameter(name).add_(difference)
    assert np.abs(edit(editor, QUICK) - edit(by_hand, QUICK)).max() <= 2
    assert not editor.replace(spec(tiny_editor_path, editor.spec.params["optimizations"]))


def test_other_loras_are_added_with_their_weights_and_leave_the_noise_schedule_as_it_is(
    tiny_editor_path: Path, tmp_path: Path
) -> None:
    import torch

    by_hand = loaded(tiny_editor_path)
    added = lora_for(by_hand, tmp_path / "l.safetensors")
    file = str(tmp_path / "l.safetensors")
    editor = loaded(tiny_editor_path, lora=[{"path": file, "weight": 0.5}, {"path": file, "weight": -0.25}])
    assert editor.weight_files().count(file) == 2
    assert dict(editor._pipeline.scheduler.config) == dict(by_hand._pipeline.scheduler.config)
    with torch.no_grad():
        for name, difference in added.items():
            by_hand._pipeline.transformer.get_parameter(name).add_(0.25 * difference)
    assert np.abs(edit(editor, QUICK) - edit(by_hand, QUICK)).max() <= 2
    assert np.abs(edit(editor, QUICK) - edit(loaded(tiny_editor_path), QUICK)).max() > 2

    both = loaded(tiny_editor_path, {"lightning_lora": file}, lora=[{"path": file, "weight": -0.75}])
    by_hand._pipeline.scheduler = both._pipeline.scheduler
    assert both._pipeline.scheduler.config.shift_terminal is None
    assert np.abs(edit(both, QUICK) - edit(by_hand, QUICK)).max() <= 2
