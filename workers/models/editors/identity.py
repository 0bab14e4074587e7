"""The editor that changes nothing: a baseline that every reward should rank last, and a run without any device work."""

from __future__ import annotations

from PIL import Image

from protocol.messages import Residency
from workers.interface import Editor, EditRequest, Progress


class IdentityEditor(Editor):
    """Gives back the source, pixel for pixel."""

    def load(self, residency: Residency) -> None:
        """There is nothing to read."""

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        progress(1, 1)
        return request.image
