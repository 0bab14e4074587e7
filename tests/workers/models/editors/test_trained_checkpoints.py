"""What was trained, in any pipeline of diffusers: LoRAs, a transformer alone, another checkpoint in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ModelSpec
from scripts.tiny_models.pipelines import build_pipeline
from tests.workers.models.editors.tiny_edits import picture
from workers.interface import EditRequest, ModelError, WorkerContext
from workers.models.editors.diffusers_editor import DiffusersEditor
from workers.models.editors.pipeline_loading import denoiser_of

pytestmark = pytest.mark.slow

UNET = "StableDiffusionInstructPix2PixPipeline"
KLEIN = "Flux2KleinPipeline"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of each of two classes: one with a transformer, one with a unet."""
    folder = tmp_path_factory.mktemp("trained")
    for name in (UNET, KLEIN):
        for seed in (0, 1):
            build_pipeline(name, folder / f"{name}-{seed}", seed=seed)
    return folder


def spec(folder: Path, **params: Any) -> ModelSpec:
    return ModelSpec(role="editor", type="diffusers", name=str(folder), params={"dtype": "float32", **params})


def loaded(folder: Path, **params: Any) -> DiffusersEditor:
    editor = DiffusersEditor(spec(folder, **params), "cpu")
    editor.context = WorkerContext("editor-0", folder.parent / "pool")
    editor.load("device")
    return editor


def edit(editor: DiffusersEditor, steps: int = 2) -> bytes:
    takes_size = type(editor._pipeline).__name__ == KLEIN
    size = {"height": 64, "width": 64} if takes_size else {}
    parameters = {"num_inference_steps": steps, "preset": "none", "output_size": "pipeline", **size}
    request = EditRequest(picture(), "make it blue", 3, "a/1", parameters)
    return editor.edit(request, lambda *_: None).tobytes()


def lora_for(editor: DiffusersEditor, file: Path, prefix: str) -> dict[str, Any]:
    """Write a random LoRA of rank 2 for the attention's queries; return what it adds to which weights."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {}
    added: dict[str, Any] = {}
    for name, layer in denoiser_of(editor._pipeline).named_modules():
        if isinstance(layer, torch.nn.Linear) and name.endswith(".to_q"):
            down = torch.randn(2, layer.in_features, generator=generator)
            up = torch.randn(layer.out_features, 2, generator=generator)
            state |= {f"{prefix}.{name}.lora_A.weight": down, f"{prefix}.{name}.lora_B.weight": up}
            added[f"{name}.weight"] = up @ down
    save_file(state, file)
    return added


@pytest.mark.parametrize(("name", "prefix"), [(UNET, "unet"), (KLEIN, "transformer")])
def test_loras_edit_as_if_they_were_added_to_the_weights(name: str, prefix: str, root: Path, tmp_path: Path) -> None:
    import numpy as np
    import torch

    by_hand = loaded(root / f"{name}-0")
    plain = edit(by_hand)
    file = tmp_path / "lora.safetensors"
    added = lora_for(by_hand, file, prefix)
    editor = loaded(root / f"{name}-0", lora=[{"path": str(file), "weight": 0.5}, {"path": str(file), "weight": 0.25}])
    assert editor.weight_files().count(str(file)) == 2
    with torch.no_grad():
        for weight, difference in added.items():
            denoiser_of(by_hand._pipeline).get_parameter(weight).add_(0.75 * difference)
    made, expected = (np.frombuffer(edit(one), np.uint8).astype(np.int16) for one in (editor, by_hand))
    assert np.abs(made - expected).max() <= 2
    assert edit(editor) != plain
    assert not editor.replace(spec(root / f"{name}-1", **editor.spec.params))


def test_a_lora_of_another_model_is_named(root: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    file = tmp_path / "other.safetensors"
    weights = {"lora_A.weight": torch.zeros(2, 5), "lora_B.weight": torch.zeros(5, 2)}
    for layer, reason in (
        ("transformer.blocks.9.to_q", r"which has no layer blocks.9.to_q \(1 of its layers in all\)"),
        ("transformer.transformer_blocks.0.attn.to_q", "size mismatch"),
        ("unet.down.to_q", "has no layer down.to_q|it has no weights for it"),
    ):
        save_file({f"{layer}.{part}": weight for part, weight in weights.items()}, file)
        with pytest.raises(ModelError, match=f"(?s)lora\\[0\\]: {file} does not fit a Flux2.*{reason}") as raised:
            loaded(root / f"{KLEIN}-0", lora=[{"path": str(file)}])
        assert raised.value.kind == "config"


@pytest.mark.parametrize(("name", "component"), [(UNET, "unet"), (KLEIN, "transformer")])
def test_another_checkpoint_takes_the_place_of_the_loaded_one(name: str, component: str, root: Path) -> None:
    first, second = (root / f"{name}-{seed}" for seed in (0, 1))
    editor = loaded(first)
    before, module = edit(editor), denoiser_of(editor._pipeline)
    assert editor.replace(spec(second))
    assert denoiser_of(editor._pipeline) is module
    assert edit(editor) == edit(loaded(second)) != before

    # A transformer that was trained alone, in the same place: all else is that of the first checkpoint.
    trained = second / component
    assert editor.replace(spec(first, transformer_path=str(trained)))
    assert denoiser_of(editor._pipeline) is module
    alone = loaded(first, transformer_path=str(trained))
    assert edit(editor) == edit(alone)
    assert edit(alone) not in (before, edit(loaded(second)))
    files = {Path(file).resolve() for file in alone.weight_files()}
    assert {trained / "config.json", first / "vae" / "config.json"} <= files
    assert first / component / "config.json" not in files
    assert {Path(file).parents[2] for file in alone.weight_files()} >= {first.parent / "pool" / "editor-0.links"}
    assert editor.replace(spec(first))
    assert edit(editor) == before


def test_a_transformer_of_another_class_is_refused(root: Path) -> None:
    message = (
        "has the class UNet2DConditionModel, and the transformer of this Flux2KleinPipeline has Flux2Transformer2D"
    )
    with pytest.raises(ModelError, match=message):
        loaded(root / f"{KLEIN}-0", transformer_path=str(root / f"{UNET}-0" / "unet"))


@pytest.mark.parametrize("options", [{"taylorseer_cache": 2}, {"fp8": True}, {"attention_backend": "_native_math"}])
def test_optimizations_are_those_of_the_transformer(options: dict[str, Any], root: Path) -> None:
    folder = root / f"{KLEIN}-0"
    editor = loaded(folder, optimizations=options)
    made = edit(editor, steps=6)
    assert edit(editor, steps=6) == made, "an edit leaves nothing behind"
    if "attention_backend" not in options:
        assert made != edit(loaded(folder), steps=6)


def test_an_optimization_that_a_unet_lacks_is_refused(root: Path) -> None:
    for options, reason in (
        ({"first_block_cache": 0.1}, "first_block_cache: a UNet2DConditionModel has no cache between steps"),
        ({"attention_backend": "_native_math"}, "attention_backend: a UNet2DConditionModel has no choice of backends"),
        ({"keep_prompt_embeddings": True}, "this editor does not support keep_prompt_embeddings"),
    ):
        with pytest.raises(ModelError, match=reason) as raised:
            loaded(root / f"{UNET}-0", optimizations=options)
        assert raised.value.kind == "config"
