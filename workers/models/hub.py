"""Finds the files of a model: a local folder, or a snapshot of the hub.

A complete snapshot in the hub's cache is used without network access: all workers of a pool, and all runs that attach
to it, use the same revision.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workers.interface import ModelError
from workers.models.model_folder import damaged_files, few, missing_files
from workers.models.registry import known_models

RESULT_SUFFIXES = (".safetensors", ".json", ".txt", ".jinja", ".model")
"""Weights, configs, vocabularies, chat templates: files that can change the results of a model."""

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_LOG_SECONDS = 30.0

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def resolve_model(name: str, progress: Callable[[], None] = lambda: None) -> Path:
    """Return the absolute folder of the model; a model on the hub is downloaded if it is not cached.

    ``progress`` is called while bytes of a download arrive, also of one that another process does.

    Raises:
        ModelError: of kind ``model_not_found``; the message has the reason and, if known, the right name. Of kind
            ``load`` if a file is damaged.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder.absolute(), name)
    if folder.exists() or folder.is_absolute() or name.startswith((".", "~")) or not _HUB_NAME.fullmatch(name):
        state = "is a file" if folder.exists() else "does not exist"
        raise ModelError("model_not_found", f"model {name!r}: the folder {folder.absolute()} {state}{_hint(name)}")
    return _snapshot(name, progress)


def weight_files(folder: Path) -> list[str]:
    """Return all files below ``folder`` that decide the results of the model: absolute paths, sorted.

    Hidden files and folders, such as the metadata of downloads, are left out.
    """
    return sorted(
        str(path.absolute())
        for path in folder.rglob("*")
        if path.suffix in RESULT_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _snapshot(name: str, progress: Callable[[], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = [f"*{suffix}" for suffix in RESULT_SUFFIXES]
    try:
        cached = Path(snapshot_download(name, local_files_only=True, allow_patterns=patterns))
        if not missing_files(cached):
            return _checked(cached, name)
    except (OSError, ValueError):
        pass  # not cached, or only in part: the download reports what is wrong
    try:
        with downloading(name, progress):
            folder = Path(snapshot_download(name, allow_patterns=patterns))
        return _checked(folder, name)
    except GatedRepoError as error:
        reason = "the hub asks for an accepted licence and a login (`hf auth login`)"
        raise ModelError("model_not_found", f"model {name!r}: {reason}") from error
    except RepositoryNotFoundError as error:
        reason = "is neither a local folder nor a model on the hub"
        raise ModelError("model_not_found", f"model {name!r} {reason}{_hint(name)}") from error
    except LocalEntryNotFoundError as error:
        reason = "is no local folder, not in the hub's cache, and the hub can't be reached"
        raise ModelError("model_not_found", f"model {name!r} {reason}{_hint(name)}") from error
    except (OSError, ValueError) as error:
        raise ModelError("model_not_found", f"model {name!r}: the download failed: {error}{_hint(name)}") from error


@contextlib.contextmanager
def downloading(name: str, progress: Callable[[], None]) -> Iterator[None]:
    """Call ``progress`` while the files of a repository in the hub's cache grow, and log how far they are.

    The library itself reports no bytes to its callers in some of its versions, nor those of another process.
    """
    from huggingface_hub import constants

    blobs = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}", "blobs")
    start = _bytes_on_disk(blobs)
    ended = threading.Event()

    def watch() -> None:
        before, logged = start, time.monotonic()
        while not ended.wait(_LOOK_SECONDS):
            now = _bytes_on_disk(blobs)
            if now != before:
                before = now
                progress()
            if time.monotonic() - logged > _LOG_SECONDS:
                logged = time.monotonic()
                _log.info("downloading %s: %.1f GB so far", name, (now - start) / 1e9)

    thread = threading.Thread(target=watch, name="downloading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _bytes_on_disk(folder: Path) -> int:
    """What has been written into the files of a folder: a file may have its whole size from the beginning."""
    total = 0
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                total += entry.stat().st_blocks * 512
    return total


def _checked(folder: Path, name: str) -> Path:
    if missing := missing_files(folder):
        raise ModelError("model_not_found", f"model {name!r}: the folder {folder} lacks {few(missing)}")
    if damaged := damaged_files(folder):
        raise ModelError("load", f"model {name!r}: in the folder {folder}, {few(damaged)}")
    return folder


def _hint(name: str) -> str:
    names = known_models()
    close = [names[name]] if name in names else difflib.get_close_matches(name, set(names.values()), n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close and close[0] != name else ""
