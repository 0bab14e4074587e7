"""The folder of one run, and the paths in it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.files import write_atomically

_MAX_NAME_BYTES = 240
"""File systems allow 255 bytes a name; a suffix has to fit as well."""


class RunDirectory:
    """``<output_dir>/runs/<stamp>``; the stamp is the run's id."""

    def __init__(self, path: Path, image_output_dir: Path | None = None) -> None:
        self.path = path
        self.stamp = path.name
        self.ledger = path / "results.jsonl"
        self._images = image_output_dir.absolute() / self.stamp if image_output_dir else path / "images"

    @classmethod
    def create(cls, output_dir: Path, image_output_dir: Path | None = None) -> RunDirectory:
        """Make a new one, by an exclusive mkdir: two runs that start in one second get two.

        Raises:
            OSError: it can't be made.
        """
        runs = output_dir / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d_%H%M%S")
        number = 1
        while True:
            path = runs / (stamp if number == 1 else f"{stamp}_{number}")
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            return cls(path, image_output_dir)

    def image_path(self, category: str, pair_id: str, sample: int) -> Path:
        """Where the edit of this sample goes: into ``images``, further samples into ``images-sample-1`` and so on.

        Ids are checked when the benchmark is loaded; this makes sure once more that none leads out of the folder.
        """
        for part in (category, pair_id):
            if part in ("", ".", "..") or any(character in part for character in "/\\\0"):
                raise ValueError(f"{part!r} can't be a file's name")
        folder = self._images if sample == 0 else self._images.with_name(f"{self._images.name}-sample-{sample}")
        return folder / _file_name(category) / f"{_file_name(pair_id)}.png"

    def recorded(self, path: Path) -> str:
        """The path as the ledger has it: relative to the run's folder if it is inside, else absolute."""
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else str(path.absolute())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the run's folder, as a whole or not at all."""
        text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
        write_atomically(self.path / name, text.encode() + b"\n")


def _file_name(text: str) -> str:
    """The text as a file's name; a long one is cut and told apart by a hash."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _MAX_NAME_BYTES:
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _MAX_NAME_BYTES - 20].decode('utf-8', 'ignore')}~{digest}"
