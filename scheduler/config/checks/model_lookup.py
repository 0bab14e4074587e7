"""Checks that a model exists: a local folder, a name in the Hugging Face cache, or a name on the hub.

Nothing is downloaded, and neither torch nor transformers is imported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

from scheduler.config.problems import did_you_mean, nearest, printable
from workers.models.model_folder import damaged_files, few, loaded_weights, missing_files
from workers.models.registry import known_models

TIMEOUT_SECONDS = 4.0
_CONTENTS = {
    "model_index.json": ("a diffusers pipeline", "an editor, not a reward"),
    "config.json": ("a transformers model", "a reward, not an editor"),
}
"""What a folder with this file is, and which role it can have."""

_HUB_NAME = re.compile(r"[\w-][\w.-]{0,95}(?:/[\w-][\w.-]{0,95})?", re.ASCII)


class Missing(Struct, frozen=True):
    """Why a model can't be used, and a hint."""

    message: str
    hint: str | None = None


def is_local(name: str) -> bool:
    """Whether a name means a local folder: by its form, or because there is one."""
    looks = name.startswith(("/", "./", "../", "~")) or name in {".", ".."} or name.count("/") > 1 or "\\" in name
    try:
        return looks or Path(name).exists()
    except (OSError, ValueError):
        return True


def local_folder(name: str) -> str:
    """A model's name as workers get it: the path of a local folder is absolute."""
    return str(Path(name).expanduser().absolute()) if is_local(name) else name


def stored_weights(name: str, entry_file: str) -> list[Path] | None:
    """The safetensors that a model is loaded from, in its folder or in the hub's cache; None if they are not there."""
    entry = model_file(name, entry_file)
    return None if entry is None else loaded_weights(entry.parent)


def model_file(name: str, file_name: str) -> Path | None:
    """The path of a model's file: in its folder, where it may be missing, or in the hub's cache; None if not there."""
    if is_local(name):
        return Path(name).expanduser() / file_name
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, file_name)
    return Path(cached) if isinstance(cached, str) else None


def missing_model(name: str, entry_file: str, *, endpoint: str | None = None) -> Missing | None:
    """Return why the model can't be loaded; None if it is local, cached, or on the hub (``endpoint``).

    ``entry_file`` is the file without which a folder is no such model.
    """
    if is_local(name):
        try:
            return _missing_folder(name, entry_file)
        except (OSError, RuntimeError, ValueError) as error:
            return Missing(f"the folder '{printable(name)}' can't be looked at: {printable(str(error), 120)}")
    if not _HUB_NAME.fullmatch(name):
        return Missing(f"'{printable(name)}' is neither a folder nor a name on the hub (owner/name)", _hint(name))
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, entry_file)
    if isinstance(cached, str):
        # What is missing is downloaded by the worker, but a damaged file is not replaced.
        return _incomplete(Path(cached).parent, missing=_offline())
    if _offline():
        return Missing(f"{name} is not in the local Hugging Face cache, and HF_HUB_OFFLINE is set", _hint(name))
    return _missing_on_hub(name, entry_file, endpoint)


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def _missing_folder(name: str, entry_file: str) -> Missing | None:
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        state = "is a file, not a folder" if folder.exists() else "does not exist"
        near = nearest(folder.name, siblings)
        return Missing(f"the folder {folder} {state}", f"did you mean `{folder.parent / near}`?" if near else None)
    if not (folder / entry_file).is_file():
        wanted = _CONTENTS[entry_file][0] if entry_file in _CONTENTS else "such a model"
        message = f"the folder {folder} holds no {entry_file}, so it is not {wanted}"
        others = [f"it holds {what}: {role}" for file, (what, role) in _CONTENTS.items() if (folder / file).is_file()]
        return Missing(message, others[0] if others else None)
    return _incomplete(folder)


def _incomplete(folder: Path, *, missing: bool = True) -> Missing | None:
    """Why a folder with an entry file is no whole model; with ``missing`` also files that it lacks."""
    lacks = missing_files(folder) if missing else []
    if lacks:
        return Missing(f"the folder {folder} lacks {few(lacks)}", "copy or download it again")
    if damaged := damaged_files(folder):
        return Missing(f"in the folder {folder}, {few(damaged)}", "copy or download it again")
    return None


def _missing_on_hub(name: str, entry_file: str, endpoint: str | None) -> Missing | None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        info = HfApi(endpoint=endpoint).model_info(name, timeout=TIMEOUT_SECONDS)
    except GatedRepoError:
        return Missing(f"{name} is gated: the hub asks for an accepted licence and a login", "run `hf auth login`")
    except RepositoryNotFoundError:
        return Missing(f"{name} is no folder here and no model on the hub (or a private one)", _hint(name))
    except Exception as error:  # noqa: BLE001 - each version of the hub's client has another HTTP library with its own errors
        reason = f"{type(error).__name__}: {printable(str(error), 120)}"
        message = (
            f"{name} is no folder here, not in the local Hugging Face cache, and the hub can't be reached ({reason})"
        )
        return Missing(message, _hint(name) or "give the path of a folder, or download the model first")
    files = {entry.rfilename for entry in info.siblings or ()}
    if files and entry_file not in files:
        return Missing(f"{name} is on the hub, but holds no {entry_file}", None)
    return None


def _hint(name: str) -> str | None:
    names = known_models()
    if name in names:
        return None if names[name] == name else f"on the hub it is called `{names[name]}`"
    return did_you_mean(name, [known for known, right in names.items() if known == right])
