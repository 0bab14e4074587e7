"""Puts another checkpoint into a loaded pipeline: same process, same modules, same compiled code, same CUDA context.

A component of the same class and configuration gets the new weights: its tensors are pointed to the mapped safetensors
of the new checkpoint. Nothing is copied, as the pages of files are shared with other workers, and the device gets the
weights when they move there. A component that differs is loaded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.pipeline_loading import DEFAULT_DTYPE, PipelineParts
from workers.models.model_folder import component_names
from workers.models.safetensors_files import stored_as

_PROVENANCE = ("dtype", "torch_dtype", "transformers_version", "architectures")


def can_be_mapped(folder: Path, params: Mapping[str, Any]) -> bool:
    """Whether the files have the dtype that is wanted; else the weights of two checkpoints would be in memory."""
    return all(stored_as(folder / name, params.get("dtype", DEFAULT_DTYPE)) for name in component_names(folder))


def replace_weights(
    pipeline: Any,
    folder: Path,
    parts: PipelineParts,
    params: Mapping[str, Any],
    device: str,
    *,
    second_copy: bool = False,
) -> tuple[Any, Any]:
    """Return a pipeline with the checkpoint of ``folder``, on the host, and its mover.

    Modules of ``pipeline`` are reused where they fit.

    Raises:
        ModelError: the checkpoint can't be read; ``pipeline`` is not usable any more.
    """
    import torch

    from workers.models.moving.mover import Mover

    try:
        components = dict(parts.read(params.get("dtype", DEFAULT_DTYPE), "cpu"))
        for name, new in components.items():
            old = getattr(pipeline, name, None)
            if isinstance(new, torch.nn.Module) and _take_weights(old, new):
                components[name] = old
        modules = [component for component in components.values() if isinstance(component, torch.nn.Module)]
        return parts.assemble(components), Mover(modules, device, second_copy=second_copy)
    except ModelError:
        raise
    except Exception as error:
        # Damaged files raise whatever the library that reads them raises.
        raise ModelError("load", f"editor model {folder} can't be loaded: {type(error).__name__}: {error}") from error


def _take_weights(old: Any, new: Any) -> bool:
    """Point the parameters and buffers of ``old`` to those of ``new``, if they are the same kind of module."""
    if type(old) is not type(new) or _deciding(old.config) != _deciding(new.config):
        return False
    parts, own = dict(new.named_modules()), dict(old.named_modules())
    if parts.keys() != own.keys() or _layouts(old) != _layouts(new):
        return False
    for name, part in own.items():
        for key, parameter in part._parameters.items():
            if parameter is not None:
                parameter.data = parts[name]._parameters[key].data
        part._buffers.update(parts[name]._buffers)
    return True


def _layouts(module: Any) -> dict[str, Any]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def _deciding(config: Any) -> Any:
    """The part of a configuration that decides how its module is built, without origin and storage."""
    if hasattr(config, "to_dict"):
        config = config.to_dict()
    if not isinstance(config, Mapping):
        return config
    # The older name of a key, which is kept beside the current one.
    duplicate = ("type",) if "rope_type" in config else ()
    left_out = (*_PROVENANCE, *duplicate)
    return {key: _deciding(value) for key, value in config.items() if str(key)[:1] != "_" and key not in left_out}
