"""Checks that an editor which is to get all source images of an item takes several."""

from __future__ import annotations

import json

from scheduler.config.checks.model_lookup import model_file
from scheduler.config.models import ModelSection

TAKE_THE_FIRST = "write `images: first`, or name a model that takes several, such as Qwen/Qwen-Image-Edit-2511"


def several_images_refused(section: ModelSection) -> str | None:
    """Why the editor's model cannot get several images; None if it is not to, or can, or its files do not tell yet."""
    declaration, name = section.declaration, section.params.model_name
    if dict(section.params).get("images") != "all" or not (declaration.one_image and declaration.entry_file and name):
        return None
    pipeline = _pipeline(name, declaration.entry_file)
    if pipeline in declaration.one_image:
        return f"the model is a {pipeline}, which takes one source image"
    return "this model takes one source image" if pipeline is None and name in declaration.one_image else None


def _pipeline(name: str, entry_file: str) -> str | None:
    """The class of the pipeline in a local folder or in the hub's cache."""
    try:
        path = model_file(name, entry_file)
        found = json.loads(path.read_text(encoding="utf-8")).get("_class_name") if path is not None else None
    except (OSError, ValueError, AttributeError):
        return None  # other checks report what is wrong with the name, loading what is wrong with the file
    return found if isinstance(found, str) else None
