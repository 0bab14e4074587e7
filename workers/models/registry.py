"""Which types of editors and rewards there are: built in, and brought by packages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from protocol.messages import ModelSpec, Role
from workers import interface
from workers.interface import ModelError
from workers.models.declaration import ModelType
from workers.models.plugins import PluginError, Registry

EDITORS = Registry(
    "warmbench.editors",
    ModelType,
    {
        "qwen_image_edit": "workers.models.editors.qwen_image_edit:DECLARATION",
        "diffusers": "workers.models.editors.diffusers_editor:DECLARATION",
        "http": "workers.models.editors.http_editor:DECLARATION",
        "identity": "workers.models.editors.identity_editor:DECLARATION",
        "simulated": "workers.models.editors.simulated_editor:DECLARATION",
    },
)
REWARDS = Registry(
    "warmbench.rewards",
    ModelType,
    {
        "qwen3_vl": "workers.models.rewards.qwen3_vl:DECLARATION",
        "openai": "workers.models.rewards.openai_judge:DECLARATION",
        "simulated": "workers.models.rewards.simulated_reward:DECLARATION",
    },
)
MODELS: Mapping[Role, Registry[ModelType]] = {"editor": EDITORS, "reward": REWARDS}


def canonical_type(role: Role, name: str) -> str:
    """The name of a type, whichever of its names is given: which one was written does not change what is loaded."""
    try:
        return MODELS[role].get(name).name
    except (KeyError, PluginError):
        return name


def known_models() -> dict[str, str]:
    """Names of models on the hub, and those that people write instead, each with the right name."""
    models = [model for registry in MODELS.values() for model in registry.all().values()]
    right = {name: name for model in models for name in model.known_models}
    return right | {wrong: name for model in models for wrong, name in model.corrections.items()}


def make_model(spec: ModelSpec, device: str) -> interface.Model:
    """Import the class of the spec and make its object. Nothing is loaded yet.

    Raises:
        ModelError: of kind ``config``: there is no such class in this environment, or it is of another kind.
    """
    target = _target(spec)
    module_name, _, class_name = target.replace(":", ".").rpartition(".")
    try:
        loaded = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError("config", f"{target} can't be imported: {error}") from error
    base = interface.Editor if spec.role == "editor" else interface.Reward
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        raise ModelError("config", f"{target} is no {spec.role}: derive it from workers.interface.{base.__name__}")
    model: interface.Model = loaded(spec, device)
    return model


def _target(spec: ModelSpec) -> str:
    """The class, as ``module:Class`` or as the user's ``package.module.Class``."""
    if spec.type is None and spec.class_path is not None:
        return spec.class_path
    try:
        return MODELS[spec.role].get(spec.type or "").target
    except KeyError:
        message = f"there is no {spec.role} of type {spec.type!r} in the environment of this worker"
    except PluginError as error:
        message = str(error)
    raise ModelError("config", message)
