"""From the name of a type, or a user's ``class_path``, to the class of the model."""

from __future__ import annotations

import importlib

from protocol.messages import ModelSpec
from workers.interface import Editor, Model, ModelError, Reward

_CLASSES = {
    ("editor", "qwen_image_edit"): "workers.models.editors.qwen_image_edit.QwenImageEditEditor",
    ("editor", "multi_gpu_qwen_image_edit"): "workers.models.editors.qwen_image_edit.QwenImageEditEditor",
    ("editor", "multi_gpu_qwen_edit"): "workers.models.editors.qwen_image_edit.QwenImageEditEditor",
    ("editor", "identity"): "workers.models.editors.identity.IdentityEditor",
    ("editor", "simulated"): "workers.models.editors.simulated.SimulatedEditor",
    ("reward", "qwen3_vl"): "workers.models.rewards.qwen3_vl.Qwen3VLReward",
    ("reward", "qwen3_vl_subprocess"): "workers.models.rewards.qwen3_vl.Qwen3VLReward",
    ("reward", "simulated"): "workers.models.rewards.simulated.SimulatedReward",
}


def make_model(spec: ModelSpec, device: str) -> Model:
    """Import the class of the spec and make its object. Nothing is loaded yet.

    Raises:
        ModelError: kind ``config``: there is no such class, or it is none of ours.
    """
    class_path = _CLASSES.get((spec.role, spec.type or ""), spec.class_path)
    if class_path is None:
        raise ModelError("config", f"there is no {spec.role} of type {spec.type!r}, and no class_path is given")
    module_name, _, class_name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError("config", f"{class_path} can't be imported: {error}") from error
    base = Editor if spec.role == "editor" else Reward
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ModelError("config", f"{class_path} is no {spec.role}: derive it from workers.interface.{base.__name__}")
    model: Model = found(spec, device)
    return model
