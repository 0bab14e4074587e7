"""Copies the weights of another checkpoint into a loaded pipeline: same process, same memory, same CUDA context.

The weights of a component of the same class and configuration are copied tensor by tensor from the memory-mapped
safetensors, so there are never two copies of it. A component that differs is dropped and loaded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.editors.qwen_image_loading import MODULES, assemble, load_module, read_index

_Files = dict[str, tuple[Path, tuple[int, ...]]]
_CONFIG = "config.json"
_OLDER_NAMES = ((r"^visual\.", "model.visual."), (r"^model\.(?!language_model\.|visual\.)", "model.language_model."))
"""The files of the text encoder still have the names that the first versions of its class gave to weights."""

_PROVENANCE = ("dtype", "torch_dtype", "transformers_version", "architectures")


def replace_weights(pipeline: Any, folder: Path, params: Mapping[str, Any]) -> Any:
    """Return a pipeline with the checkpoint of ``folder``. Modules of ``pipeline`` are reused where they fit.

    Raises:
        ModelError: the checkpoint can't be read; ``pipeline`` is not usable any more.
    """
    import torch

    index = read_index(folder)
    modules: dict[str, Any] = {}
    try:
        for name in MODULES:
            module = getattr(pipeline, name)
            device, files = module.device, weight_map(folder / name)
            source_of = _names_in_files(module, files) if _same_kind(module, index[name], folder / name) else None
            if source_of is not None:
                _copy(module, files, source_of)
            else:
                setattr(pipeline, name, None)
                del module
                module = load_module(folder, name, index[name], getattr(torch, params.get("dtype", "bfloat16")), device)
            modules[name] = module
        return assemble(folder, modules)
    except ModelError:
        raise
    except Exception as error:
        # Damaged files raise whatever the library that reads them raises.
        raise ModelError("load", f"editor model {folder} can't be loaded: {type(error).__name__}: {error}") from error


def weight_map(folder: Path) -> _Files:
    """Return the file and the shape of each weight in the safetensors of a component."""
    from safetensors import safe_open

    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - it is no mapping and cannot be iterated
                weights[key] = (path, tuple(file.get_slice(key).get_shape()))
    return weights


def _same_kind(module: Any, class_path: list[str], folder: Path) -> bool:
    """Whether class and configuration of the component are the same, apart from where it came from."""
    if type(module).__name__ != class_path[1]:
        return False
    config = module.config
    wanted = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    if hasattr(config, "to_dict"):
        # transformers: the class translates configurations that other versions have written.
        return bool(_deciding(config.to_dict()) == _deciding(type(config).from_dict(wanted).to_dict()))
    has = _deciding(json.loads(json.dumps(dict(config))))
    return all(has.get(key) == value for key, value in _deciding(wanted).items())


def _deciding(config: Any) -> Any:
    """The part of a configuration that decides how its module is built, without origin and storage."""
    if not isinstance(config, Mapping):
        return config
    # The older name of a key, which is kept beside the current one.
    duplicate = ("type",) if "rope_type" in config else ()
    left_out = (*_PROVENANCE, *duplicate)
    return {key: _deciding(value) for key, value in config.items() if str(key)[:1] != "_" and key not in left_out}


def _names_in_files(module: Any, files: _Files) -> dict[str, str] | None:
    """Return the name in the files of each weight of the module; None if these are not the same weights."""
    state = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for rules in ((), _OLDER_NAMES):
        names = {_renamed(name, rules): name for name in files}
        if state == {key: files[name][1] for key, name in names.items()}:
            return names
    return None


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _copy(module: Any, files: _Files, source_of: Mapping[str, str]) -> None:
    import torch
    from safetensors import safe_open

    state = module.state_dict()
    with torch.no_grad():
        for path in sorted({at[0] for at in files.values()}):
            with safe_open(path, framework="pt") as file:
                for key, name in source_of.items():
                    if files[name][0] == path:
                        state[key].copy_(file.get_tensor(name))
