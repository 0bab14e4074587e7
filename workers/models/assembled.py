"""A pipeline of links: the components that were trained, and all else from the model that the training began with.

Trainers often write the trained component alone, such as ``checkpoint-1000/transformer``. The files are links, so that
nothing is copied and the same weights have one place in memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from workers.models.model_folder import component_names


def trainable_components(base: Path) -> frozenset[str]:
    """Return the components of a pipeline that have weights."""
    return frozenset(name for name in component_names(base) if any((base / name).glob("*.safetensors*")))


def assemble(base: Path, entry_file: str, trained: Mapping[str, Path], to: Path) -> None:
    """Make the folder ``to``, in place of an earlier one: the pipeline ``base`` with the ``trained`` components, each
    from its own folder. Raises ``OSError``.
    """
    fresh = to.with_name(f".{to.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / entry_file).symlink_to((base / entry_file).absolute())
    for name in component_names(base):
        _link(trained.get(name, base / name), fresh / name)
    if to.exists():
        shutil.rmtree(to)
    fresh.rename(to)


def _link(source: Path, target: Path) -> None:
    """Folders are made, since not all that reads models follows links to folders."""
    for folder, _, files in os.walk(source, followlinks=True):
        place = target / os.path.relpath(folder, source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            (place / name).symlink_to(os.path.abspath(os.path.join(folder, name)))  # noqa: PTH100, PTH118 - not resolved: names in the hub's cache say the hash
