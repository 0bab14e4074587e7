"""A transformer that was trained alone (``diffusion_model.params.transformer_path``), in place of a pipeline's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workers.interface import ModelError
from workers.models.assembled import assemble
from workers.models.editors.pipeline_facts import DENOISERS
from workers.models.model_folder import damaged_files, few, missing_files

_KEY = "diffusion_model.params.transformer_path"
_ENTRY_FILE = "model_index.json"


def denoiser_name(folder: Path) -> str | None:
    """The component of a pipeline's folder that a trained transformer replaces; None if it has none."""
    return next((name for name in DENOISERS if name in _json(folder / _ENTRY_FILE)), None)


def denoiser_class(folder: Path) -> str | None:
    """The class of this component."""
    index, name = _json(folder / _ENTRY_FILE), denoiser_name(folder)
    source = index.get(name) if name is not None else None
    return str(source[1]) if isinstance(source, list) and len(source) > 1 else None


def unfit_transformer(base: Path, trained: Path) -> str | None:
    """Why the transformer in the folder ``trained`` cannot replace that of the pipeline in ``base``; None if it can."""
    if not trained.is_dir():
        return f"there is no folder {trained}"
    if missing := missing_files(trained) or ([] if any(trained.glob("*.safetensors*")) else ["*.safetensors"]):
        return f"the folder {trained} lacks {few(missing)}{_hint(trained)}"
    if damaged := damaged_files(trained):
        return f"in the folder {trained}, {few(damaged)}"
    index, name = _json(base / _ENTRY_FILE), denoiser_name(base)
    if name is None:
        return f"the model is a {index.get('_class_name')}, which has no {' or '.join(DENOISERS)}"
    expected, found = denoiser_class(base), _json(trained / "config.json").get("_class_name")
    if found != expected:
        return f"{trained} has the class {found}, and the {name} of this {index.get('_class_name')} has {expected}"
    return None


def with_transformer(base: Path, trained: Path, links: Path) -> Path:
    """The folder of a pipeline of links, in the folder ``links``: ``base`` with the transformer in ``trained``.

    Raises:
        ModelError: of kind ``config``: the two do not fit.
    """
    reason, name = unfit_transformer(base, trained), denoiser_name(base)
    if reason is not None or name is None:
        raise ModelError("config", f"{_KEY}: {reason}")
    place = links / hashlib.sha256(f"{base}\0{trained}".encode()).hexdigest()[:16]
    assemble(base, _ENTRY_FILE, {name: trained}, place)
    return place


def _hint(trained: Path) -> str:
    inner = next((name for name in DENOISERS if (trained / name / "config.json").is_file()), None)
    return f"; it has a folder {inner}: name that one" if inner else ""


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
