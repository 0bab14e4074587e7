"""``images: all`` is refused for a model that takes one source image, as far as its files are there to tell."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.checks.source_images import several_images_refused
from scheduler.config.loading import Overrides
from scheduler.config.requests import edit_identity_parameters, edit_parameters, editor_spec, takes_all_sources
from tests.scheduler.config.written import load, problems_of

CONFIG = """\
diffusion_model:
  type: {kind}
  params:
    model_name: {name}
    device: cpu
    images: {images}
reward_model: {{type: simulated}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's cache, which is empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def pipeline(folder: Path, index: object) -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def refused(folder: Path, name: str | Path, images: str = "all", kind: str = "qwen_image_edit") -> str | None:
    return several_images_refused(load(folder, CONFIG.format(name=name, images=images, kind=kind)).diffusion_model)


def test_a_config_with_such_a_model_has_one_problem_with_its_line_and_a_hint(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "model", {"_class_name": "QwenImageEditPipeline"})
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    text = CONFIG.format(name=folder, images="all", kind="qwen_image_edit")
    overrides = Overrides(data=tmp_path / "data.json")
    (problem,) = problems_of(tmp_path, text, overrides, Environment())
    assert problem.path == "diffusion_model.params.images"
    assert problem.message == "the model is a QwenImageEditPipeline, which takes one source image (line 6)"
    assert problem.hint == (
        "write `images: first`, or name a model that takes several, such as Qwen/Qwen-Image-Edit-2511"
    )
    assert not problems_of(tmp_path, text.replace("all", "first"), overrides, Environment())


def test_a_plus_pipeline_and_files_that_do_not_tell_are_not_refused(tmp_path: Path) -> None:
    plus = {"_class_name": "QwenImageEditPlusPipeline"}
    for number, index in enumerate([plus, {}, [], {"_class_name": 7}]):
        assert refused(tmp_path, pipeline(tmp_path / f"model-{number}", index)) is None


def test_a_model_of_the_hub_that_is_not_here_yet_is_known_by_its_name(tmp_path: Path) -> None:
    assert refused(tmp_path, "Qwen/Qwen-Image-Edit") == "this model takes one source image"
    assert refused(tmp_path, "Qwen/Qwen-Image-Edit-2511") is None


@pytest.mark.parametrize("kind", ["simulated", "identity"])
def test_editors_without_a_pipeline_accept_the_key(tmp_path: Path, kind: str) -> None:
    assert refused(tmp_path, "a", kind=kind) is None


def test_it_is_no_part_of_what_an_edit_of_one_image_depends_on(tmp_path: Path) -> None:
    every, first = (
        load(tmp_path, CONFIG.format(name="a", images=images, kind="simulated")) for images in ("all", "first")
    )
    assert (takes_all_sources(every), takes_all_sources(first)) == (True, False)
    for of in (editor_spec, edit_parameters, edit_identity_parameters):
        assert of(every) == of(first)
