"""Signatures that are read from diffusers' source files, beside those of the imported classes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workers.models.editors.pipeline_facts import ONE_IMAGE, PRESETS, SEVERAL_IMAGES
from workers.models.editors.signatures import signature_of

CLASSES = sorted({*ONE_IMAGE, *SEVERAL_IMAGES})


def test_nothing_heavy_is_imported_to_read_one() -> None:
    code = (
        "import sys; from workers.models.editors.signatures import signature_of\n"
        "assert 'image' in signature_of('FluxKontextPipeline')\n"
        "assert not {'torch', 'diffusers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name", ["NoSuchPipeline", "../x", "DiffusionPipeline", "AutoencoderKL", "UNet2DModel", "torch"]
)
def test_what_is_no_pipeline_class_of_diffusers_has_none(name: str) -> None:
    assert signature_of(name) is None


def test_every_class_of_which_something_is_known_takes_images_and_an_instruction() -> None:
    for name in {*CLASSES, *(preset.pipeline for preset in PRESETS)}:
        signature = signature_of(name)
        assert signature is not None, name
        assert signature.image is not None
        assert {"prompt", "generator", "num_inference_steps", "output_type"} <= signature.arguments.keys()


def test_the_arguments_of_a_preset_are_arguments_of_its_class() -> None:
    for preset in PRESETS:
        signature = signature_of(preset.pipeline)
        assert signature is not None
        assert preset.arguments.keys() <= signature.arguments.keys()
        assert all(signature.arguments[name] != value for name, value in preset.arguments.items()), preset


@pytest.mark.slow
def test_the_names_and_defaults_are_those_of_the_imported_classes() -> None:
    import inspect

    import diffusers

    for name in CLASSES:
        read = signature_of(name)
        stock = list(inspect.signature(getattr(diffusers, name).__call__).parameters.values())[1:]
        named = [part for part in stock if part.kind is not part.VAR_KEYWORD]
        assert read is not None
        assert list(read.arguments) == [part.name for part in named]
        for part in named:
            if part.default not in (part.empty, 1024**2):
                assert read.arguments[part.name] == part.default, (name, part.name)
