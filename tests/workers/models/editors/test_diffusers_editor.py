"""The editor of any pipeline, on tiny ones of the real classes of diffusers."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from scripts.tiny_models.pipelines import build_pipeline
from tests.workers.models.editors.tiny_classes import PROMPT, edit, loaded, request, size_of, spec
from tests.workers.models.editors.tiny_edits import picture
from workers.interface import EditRequest, ModelError
from workers.models.editors.diffusers_editor import DiffusersEditor, _pixels, _prompt
from workers.models.editors.qwen_image_edit import QwenImageEditEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

CLASSES = (
    "Flux2KleinPipeline",
    "Flux2Pipeline",
    "FluxKontextPipeline",
    "GlmImagePipeline",
    "QwenImage21Pipeline",
    "QwenImageEditPipeline",
    "QwenImageEditPlusPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
    "ZImageOmniPipeline",
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each of these classes."""
    root = tmp_path_factory.mktemp("pipelines")
    for name in CLASSES:
        build_pipeline(name, root / name)
    return {name: root / name for name in CLASSES}


@pytest.mark.parametrize("name", ["QwenImageEditPipeline", "QwenImageEditPlusPipeline"])
def test_a_qwen_model_gives_the_edits_of_its_own_editor(name: str, folders: dict[str, Path]) -> None:
    own = QwenImageEditEditor(spec(folders[name], "qwen_image_edit"), "cpu")
    own.load("device")
    wanted = request(height=64, width=64, true_cfg_scale=4.0)
    assert edit(loaded(folders[name]), wanted).tobytes() == own.edit(wanted, lambda *_: None).tobytes()


@pytest.mark.parametrize("name", ["Flux2KleinPipeline", "QwenImageEditPlusPipeline"])
def test_several_images_count_in_their_order(name: str, folders: dict[str, Path]) -> None:
    editor = loaded(folders[name])
    one, two = picture(), picture(-1.5)
    edits = [edit(editor, request(*images, **size_of(name))) for images in [(one,), (one, two), (two, one)]]
    assert len({made.tobytes() for made in edits}) == 3


def test_the_size_of_the_source_is_kept_in_multiples_of_16(folders: dict[str, Path]) -> None:
    source = picture(size=(100, 70))
    for name in ("FluxKontextPipeline", "Flux2KleinPipeline", "StableDiffusionXLInstructPix2PixPipeline"):
        assert edit(loaded(folders[name]), request(source, output_size="source")).size == (96, 64), name


def test_what_is_transparent_is_white(folders: dict[str, Path]) -> None:
    editor = loaded(folders["StableDiffusionInstructPix2PixPipeline"])
    hidden, white = Image.new("RGBA", (64, 64), (200, 0, 0, 0)), Image.new("RGB", (64, 64), "white")
    assert edit(editor, request(hidden)).tobytes() == edit(editor, request(white)).tobytes()


def test_what_is_transparent_is_seen_by_a_class_with_an_alpha_channel_and_edits_have_one(
    folders: dict[str, Path],
) -> None:
    editor = loaded(folders["QwenImage21Pipeline"])
    hidden, white = Image.new("RGBA", (64, 64), (200, 0, 0, 0)), Image.new("RGB", (64, 64), "white")
    edits = [edit(editor, request(source, **size_of("QwenImage21Pipeline"))) for source in (hidden, white)]
    assert [made.mode for made in edits] == ["RGBA", "RGBA"]
    assert edits[0].tobytes() != edits[1].tobytes()
    low, high = edits[0].getchannel("A").getextrema()
    assert low != high


def test_sources_of_any_sizes_are_edited_by_a_class_that_needs_steps_of_32_pixels(folders: dict[str, Path]) -> None:
    editor, one, two = loaded(folders["GlmImagePipeline"]), picture(size=(100, 70)), picture(-1.5)
    alone, both = edit(editor, request(one)), edit(editor, request(one, two))
    assert alone.size == both.size == (96, 64)
    assert alone.tobytes() != both.tobytes()


def test_a_dtype_in_which_the_class_cannot_work_is_refused(folders: dict[str, Path]) -> None:
    wanted = spec(folders["StableDiffusionInstructPix2PixPipeline"])
    editor = DiffusersEditor(msgspec.structs.replace(wanted, name=str(folders["ZImageOmniPipeline"])), "cpu")
    with pytest.raises(ModelError, match=r"params.dtype: a ZImageOmniPipeline works in bfloat16 only"):
        editor.load("device")


def test_flux_2_edits_without_torchvision_and_does_not_rewrite_an_instruction_without_seeing_its_image(
    folders: dict[str, Path],
) -> None:
    editor = loaded(folders["Flux2Pipeline"])
    wanted = request(pipeline_arguments={"caption_upsample_temperature": 0.15}, height=64, width=64)
    with pytest.raises(ValueError, match="only with the package torchvision"):
        edit(editor, wanted)


def test_a_class_that_needs_a_missing_package_is_refused_by_its_name(tmp_path: Path) -> None:
    index = {"_class_name": "OmniGenPipeline"}
    (tmp_path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    editor = DiffusersEditor(spec(tmp_path), "cpu")
    with pytest.raises(ModelError, match="is a OmniGenPipeline, which needs the package torchvision: install it"):
        editor.load("device")


def test_what_the_class_lacks_or_ignores_is_refused_by_the_worker_too(folders: dict[str, Path]) -> None:
    editor = loaded(folders["QwenImageEditPipeline"])
    with pytest.raises(ModelError, match=r"params.guidance_scale: a QwenImageEditPipeline ignores it") as raised:
        edit(editor, request(guidance_scale=2.0))
    assert raised.value.kind == "config"
    with pytest.raises(ModelError, match=r"params.images: the model is a QwenImageEditPipeline, which takes one"):
        edit(editor, request(picture(), picture()))


def test_a_class_or_component_that_is_not_of_the_libraries_is_never_loaded(tmp_path: Path) -> None:
    index = {"_class_name": "TheirPipeline", "unet": ["their_code", "TheirModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    editor = DiffusersEditor(spec(tmp_path), "cpu")
    with pytest.raises(ModelError, match="is a TheirPipeline, which is no pipeline class of diffusers"):
        editor.load("device")
    index["_class_name"] = "StableDiffusionInstructPix2PixPipeline"
    (tmp_path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelError, match="has unet from 'their_code'; only diffusers and transformers are used"):
        editor.load("device")


def test_the_steps_of_a_failed_edit_are_not_counted_in_the_next(folders: dict[str, Path]) -> None:
    editor = loaded(folders["StableDiffusionXLInstructPix2PixPipeline"])
    wanted = request(height=64, width=64)

    def fail(step: int, steps: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        editor.edit(wanted, fail)
    steps: list[tuple[int, int]] = []
    editor.edit(wanted, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]


def test_the_edit_is_found_in_the_output_of_each_kind_of_pipeline() -> None:
    from diffusers.pipelines.chronoedit.pipeline_output import ChronoEditPipelineOutput
    from diffusers.pipelines.flux.pipeline_output import FluxPipelineOutput
    from diffusers.pipelines.kandinsky5.pipeline_output import KandinskyImagePipelineOutput

    pixels: np.ndarray = np.arange(2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)
    assert np.array_equal(_pixels(FluxPipelineOutput(images=pixels)), pixels[0])
    assert np.array_equal(_pixels(KandinskyImagePipelineOutput(image=pixels)), pixels[0])
    assert np.array_equal(_pixels(ChronoEditPipelineOutput(frames=pixels[None])), pixels[1])


def test_an_instruction_has_the_form_that_the_class_takes() -> None:
    one, two = request(), request(picture(), picture(-1.5))
    assert _prompt("FluxKontextPipeline", one) == PROMPT
    assert _prompt("OmniGenPipeline", two) == f"<img><|image_1|></img><img><|image_2|></img> {PROMPT}"
    in_json = _prompt("BriaFiboEditPipeline", one)
    assert json.loads(in_json) == {"edit_instruction": PROMPT}
    own = EditRequest(picture(), in_json, 0, "a/1", {}, images=(picture(),))
    assert _prompt("BriaFiboEditPipeline", own) == in_json
