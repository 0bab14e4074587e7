"""What a config asks of its workers: what they load (``ModelSpec``), and what each edit or batch is to be like.

A spec holds only what decides what is loaded, so that two runs that differ in steps or seeds share warm workers. Each
key's declaration says which of these it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec
from scheduler.config.checks.model_lookup import local_folder
from scheduler.config.declared import DeclaredSection
from scheduler.config.document import Config
from scheduler.config.models import ModelSection
from workers.models.declaration import Key

_APART = ("model_name", "seed")
"""They travel in fields of their own."""


def editor_spec(config: Config) -> ModelSpec:
    """What every editor loads. A local model's name is absolute."""
    return _spec(config.diffusion_model)


def reward_spec(config: Config) -> ModelSpec:
    """What every reward loads. A local model's name is absolute."""
    return _spec(config.reward_model)


def edit_parameters(config: Config) -> dict[str, Any]:
    """What every edit is to be like, beside its instruction and seed."""
    return _parameters(config.diffusion_model)


def takes_all_sources(config: Config) -> bool:
    """Whether editors get all source images of a pair. It is no parameter: a pair with one source is edited as ever."""
    return dict(config.diffusion_model.params).get("images") == "all"


def score_parameters(config: Config) -> dict[str, Any]:
    """How every batch is to be scored; ``batch_size`` is 1 without ``use_batch_inference``."""
    return _parameters(config.reward_model) | {"batch_size": config.reward_model.params.effective_batch_size}


def edit_identity_parameters(config: Config) -> dict[str, Any]:
    """Those of ``edit_parameters`` that change pixels; how long a simulated device takes does not."""
    return _identity_parameters(config.diffusion_model)


def score_identity_parameters(config: Config) -> dict[str, Any]:
    """Those of ``score_parameters`` that a score depends on. How many are scored at once is none: a batch is split
    anyway where memory is short.
    """
    return _identity_parameters(config.reward_model)


def optimizations(config: Config) -> dict[str, dict[str, Any]]:
    """The optimizations that the editor was asked for, as ``exact`` and as ``approximate``.

    Other keys that change pixels, such as ``quantization``, are among them.
    """
    section = config.diffusion_model
    key = section.declaration.key("optimizations")
    asked: dict[str, Any] = {}
    if key is not None and key.affects == "load":
        asked = _plain(key, dict(section.params)[key.name])
    options = {option.name: option for option in key.keys} if key is not None else {}
    approximate = {name for name, value in asked.items() if name in options and _is_approximate(options[name], value)}
    return {
        "exact": {name: value for name, value in asked.items() if name not in approximate},
        "approximate": {name: value for name, value in asked.items() if name in approximate}
        | approximate_keys(section),
    }


def approximate_keys(section: ModelSection) -> dict[str, Any]:
    """The keys that change what the model makes, such as ``quantization``, where they are set."""
    return {key.name: value for key, value in _values(section, "load") if key.approximate and value != key.default}


def _is_approximate(option: Key, value: Any) -> bool:
    if isinstance(option.approximate, str):
        return re.search(option.approximate, str(value)) is not None
    return option.approximate


def _spec(section: ModelSection) -> ModelSpec:
    params = section.params
    name = params.model_name
    loaded = {
        key.name: _plain(key, value)
        for key, value in _values(section, "load", "start")
        if not _is_as_before(key, value)
    }
    return ModelSpec(
        role=section.declaration.role,
        type=section.type,
        class_path=section.class_path,
        name=None if name is None else local_folder(name),
        params={"threads_per_worker": params.threads_per_worker, **loaded, **params.free},
    )


def _parameters(section: ModelSection) -> dict[str, Any]:
    return {key.name: _plain(key, value) for key, value in _values(section, "run", "speed")} | section.params.free


def _identity_parameters(section: ModelSection) -> dict[str, Any]:
    decisive = {key.name: _plain(key, value) for key, value in _values(section, "run") if not _is_as_before(key, value)}
    return decisive | section.params.free


def _values(section: ModelSection, *affects: str) -> Iterator[tuple[Key, Any]]:
    values = dict(section.params)
    return (
        (key, values[key.name]) for key in section.declaration.keys if key.affects in affects and key.name not in _APART
    )


def _is_as_before(key: Key, value: Any) -> bool:
    """Whether the value is what results had that were recorded before there was such a key."""
    return key.later and (value == key.default or (key.kind == "mapping" and not _plain(key, value)))


def _plain(key: Key, value: Any) -> Any:
    """A value as a worker gets it: files are absolute, and of a declared mapping only what is not the default."""
    if isinstance(value, DeclaredSection):
        held = dict(value)
        # Where a mapping is left out, the section has an empty one.
        defaults = {part.name: {} if part.kind == "mapping" and not part.keys else part.default for part in key.keys}
        return {part.name: _plain(part, held[part.name]) for part in key.keys if held[part.name] != defaults[part.name]}
    if isinstance(value, Path):
        return str(value.absolute())
    if key.kind == "hub_file" and value is not None and is_local_file(value):
        return str(Path(value).expanduser().absolute())
    return [_plain(key, part) for part in value] if isinstance(value, tuple) else value


def is_local_file(name: str) -> bool:
    """Whether the name of a ``hub_file`` means a file here: by its looks, or because there is one."""
    try:
        return name.startswith(("/", "./", "../", "~")) or Path(name).exists()
    except (OSError, ValueError):
        return True
