"""Is a model there? A local folder, a name in the Hugging Face cache, or a name that the hub knows.

Only names are looked up, nothing is downloaded, and neither torch nor transformers is imported.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scheduler.config.problems import did_you_mean, nearest, printable

Role = Literal["editor", "reward"]

TIMEOUT_SECONDS = 4.0
ENTRY_FILES: dict[Role, str] = {"editor": "model_index.json", "reward": "config.json"}
"""The file without which a folder is no pipeline, or no model."""

KNOWN_NAMES = (
    "Qwen/Qwen-Image-Edit",
    "Qwen/Qwen-Image-Edit-2509",
    "Qwen/Qwen-Image-Edit-2511",
    *(f"Qwen/Qwen3-VL-{size}-Instruct" for size in ("2B", "4B", "8B", "32B", "30B-A3B", "235B-A22B")),
)
_WITHOUT_ACTIVE_SIZE = {
    "Qwen/Qwen3-VL-30B-Instruct": "Qwen/Qwen3-VL-30B-A3B-Instruct",
    "Qwen/Qwen3-VL-30B-Thinking": "Qwen/Qwen3-VL-30B-A3B-Thinking",
    "Qwen/Qwen3-VL-235B-Instruct": "Qwen/Qwen3-VL-235B-A22B-Instruct",
    "Qwen/Qwen3-VL-235B-Thinking": "Qwen/Qwen3-VL-235B-A22B-Thinking",
}
_HUB_NAME = re.compile(r"[\w-][\w.-]{0,95}(?:/[\w-][\w.-]{0,95})?", re.ASCII)


@dataclass(frozen=True)
class Missing:
    """Why a model can't be used, and what may have been meant."""

    message: str
    hint: str | None = None


def is_local(name: str) -> bool:
    """Whether a name means a folder here: by its looks, or because there is one."""
    looks = name.startswith(("/", "./", "../", "~")) or name in {".", ".."} or name.count("/") > 1 or "\\" in name
    try:
        return looks or Path(name).exists()
    except (OSError, ValueError):
        return True


def local_folder(name: str) -> str:
    """A model's name as a worker needs it, whatever its working directory: a local folder becomes absolute."""
    return str(Path(name).expanduser().absolute()) if is_local(name) else name


def weight_bytes(name: str, role: Role) -> int | None:
    """The size of a model's safetensors, in its folder or in the hub's cache; None if they are not there yet."""
    if is_local(name):
        folder = Path(name).expanduser()
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, ENTRY_FILES[role])
        if not isinstance(found, str):
            return None
        folder = Path(found).parent
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def missing_model(name: str, role: Role, *, endpoint: str | None = None) -> Missing | None:
    """Say why the model can't be loaded, or None if it is here, cached, or on the hub (``endpoint``)."""
    if is_local(name):
        try:
            return _missing_folder(name, role)
        except (OSError, RuntimeError, ValueError) as error:
            return Missing(f"the folder '{printable(name)}' can't be looked at: {printable(str(error), 120)}")
    if not _HUB_NAME.fullmatch(name):
        return Missing(f"'{printable(name)}' is neither a folder nor a name on the hub (owner/name)", _hint(name))
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, ENTRY_FILES[role]), str):
        return None
    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return Missing(f"{name} is not in the local Hugging Face cache, and HF_HUB_OFFLINE is set", _hint(name))
    return _missing_on_hub(name, role, endpoint)


def _missing_folder(name: str, role: Role) -> Missing | None:
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        found = "is a file, not a folder" if folder.exists() else "does not exist"
        near = nearest(folder.name, siblings)
        return Missing(f"the folder {folder} {found}", f"did you mean `{folder.parent / near}`?" if near else None)
    if not (folder / ENTRY_FILES[role]).is_file():
        wanted = "a diffusers pipeline" if role == "editor" else "a transformers model"
        return Missing(
            f"the folder {folder} holds no {ENTRY_FILES[role]}, so it is not {wanted}", _other_role(folder, role)
        )
    return None


def _other_role(folder: Path, role: Role) -> str | None:
    if role == "reward" and (folder / ENTRY_FILES["editor"]).is_file():
        return "it holds a diffusers pipeline: an editor, not a reward"
    if role == "editor" and (folder / ENTRY_FILES["reward"]).is_file():
        return "it holds a transformers model: a reward, not an editor"
    return None


def _missing_on_hub(name: str, role: Role, endpoint: str | None) -> Missing | None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        found = HfApi(endpoint=endpoint).model_info(name, timeout=TIMEOUT_SECONDS)
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
    files = {entry.rfilename for entry in found.siblings or ()}
    if files and ENTRY_FILES[role] not in files:
        return Missing(f"{name} is on the hub, but holds no {ENTRY_FILES[role]}", None)
    return None


def _hint(name: str) -> str | None:
    if name in _WITHOUT_ACTIVE_SIZE:
        return f"on the hub it is called `{_WITHOUT_ACTIVE_SIZE[name]}`"
    known = [candidate for candidate in KNOWN_NAMES if candidate != name]
    return did_you_mean(name, known) if name not in KNOWN_NAMES else None
