"""The tiny models, and whether a folder holds one that was built from this source with these libraries."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_HERE = "scripts/tiny_models"
_LIBRARIES = ("diffusers", "numpy", "pillow", "safetensors", "tokenizers", "torch", "transformers")
# Hidden, so that it is not part of the model's fingerprint.
_STAMP = ".built.json"
# Reports that use the model print its content.
_NOTE = ".warmbench-note.txt"


@dataclass(frozen=True)
class TinyModel:
    """One model: the function that writes it into a folder, and the source files on which its bytes depend."""

    name: str
    builder: str
    sources: tuple[str, ...]
    note: str

    def build(self, folder: Path) -> None:
        """Write the model to ``folder``, atomically: another process never sees half of it."""
        module_name, _, function_name = self.builder.rpartition(".")
        builder: Callable[[Path], None] = getattr(importlib.import_module(module_name), function_name)
        _no_progress_bars()
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            builder(fresh)
            (fresh / _NOTE).write_text(self.note + "\n", encoding="utf-8")
            stamp = {**self._origin(), "files": _sizes(fresh)}
            (fresh / _STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
            self._put_in_place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def is_current(self, folder: Path) -> bool:
        """Whether ``folder`` holds the complete model, as it would be built now."""
        try:
            stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(stamp == {**self._origin(), "files": _sizes(folder)})

    def current_or_built(self, folder: Path) -> Path:
        """The folder of the one that ``make setup`` built, if it is current; else it is built in ``folder``."""
        set_up = _ROOT / "outputs" / "tiny-models" / self.name
        if self.is_current(set_up):
            return set_up
        self.build(folder)
        return folder

    def _put_in_place(self, fresh: Path, folder: Path) -> None:
        stale = folder.with_name(f".{folder.name}-{os.getpid()}-stale")
        if folder.exists():
            folder.rename(stale)
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster, which is fine if it built the same.
            if not self.is_current(folder):
                raise
        finally:
            shutil.rmtree(stale, ignore_errors=True)

    def _origin(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update((_ROOT / source).read_bytes())
        origin = {"model": self.name, "note": self.note, "source_sha256": digest.hexdigest()}
        return {**origin, "libraries": {library: _version(library) for library in _LIBRARIES}}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # such as diffusers in a reward's environment
        return None


def _no_progress_bars() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _STAMP)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


_SHARED = (f"{_HERE}/tokenizer.py", f"{_HERE}/weights.py")
_REWARD = (*_SHARED, f"{_HERE}/reward.py")
_TRAINING = (
    f"{_HERE}/reward_fitting.py",
    f"{_HERE}/reward_training.py",
    "workers/models/processors.py",
    "workers/models/rewards/conversations.py",
    "workers/models/rewards/parameters.py",
)

_RANDOM = "it is a tiny model of random weights, so that its results carry no meaning."
_TRAINED = "it is a tiny model that was trained for seconds to answer in form, so that its results carry no meaning."

MODELS = {
    model.name: model
    for model in (
        TinyModel("editor", "scripts.tiny_models.editor.build_editor", (*_SHARED, f"{_HERE}/editor.py"), _RANDOM),
        TinyModel("reward", "scripts.tiny_models.reward.build_reward", _REWARD, _RANDOM),
        TinyModel(
            "reward-trained", "scripts.tiny_models.reward_training.build_trained_reward", _REWARD + _TRAINING, _TRAINED
        ),
    )
}
