"""Which pictures of a run exist on disk, and the URL of each for a page beside the reports."""
# ruff: noqa: PTH208 - a folder may have ten thousand files, and only their names are needed

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from scheduler.store.run_directory import thumbnail_path


class ExistingFiles:
    """Whether files exist. The names in a folder are read once, however many of its files are asked for."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except (OSError, ValueError):
                self._names[folder] = frozenset()
        return name in self._names[folder]


class Pictures:
    """The pictures of the run in ``run_folder``, for a page in ``output_dir``.

    URLs are percent-encoded and relative to ``base``: the run's folder, relative to the page, so that both can be moved
    together. The URL of a picture elsewhere begins with ``file:``.
    """

    def __init__(self, run_folder: Path, output_dir: Path) -> None:
        self._folder = str(run_folder)
        self._output_dir = output_dir
        self._existing = ExistingFiles()
        self.base = _quoted(os.path.relpath(run_folder, output_dir)) + "/"

    def beside(self, path: Path) -> str:
        """The URL of any file, relative to the page."""
        return _quoted(os.path.relpath(path, self._output_dir))

    def full(self, image: str) -> str | None:
        """An edit in full size, by its path in the ledger; None if it was removed."""
        if image.startswith("/"):
            return f"file://{_quoted(image)}" if image in self._existing else None
        return _quoted(image) if f"{self._folder}/{image}" in self._existing else None

    def thumbnail(self, category: str, pair_id: str, of: int | str | None) -> str | None:
        """The thumbnail of the edit with this sample, of the pair's source (None), or of its image of this name, if it
        exists."""
        try:
            path = thumbnail_path(self._folder, category, pair_id, of)
            return _quoted(path.removeprefix(f"{self._folder}/")) if path in self._existing else None
        except ValueError:  # an id that cannot be a file name: its pair failed to load
            return None


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))
