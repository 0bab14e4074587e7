"""The editor that changes nothing: a baseline for every editor, and a run without any device work."""

from __future__ import annotations

from PIL import Image

from protocol.messages import Residency
from workers.interface import Editor, EditRequest, Progress
from workers.models.declaration import ModelType, with_keys
from workers.models.keys import UNUSED_EDITOR_KEYS, model_name

_NAME = model_name("identity", "A name for the report; nothing is loaded.", optional=True)

DECLARATION = ModelType(
    name="identity",
    role="editor",
    meaning="Gives back the source image.",
    target="workers.models.editors.identity_editor:IdentityEditor",
    keys=with_keys(
        UNUSED_EDITOR_KEYS,
        _NAME,
    ),
    needs="none",
    note="No-edit control: every source image was given back unchanged. These are the scores of no edit at all, which "
    "an editor has to beat.",
)


class IdentityEditor(Editor):
    """Returns the source, pixel for pixel."""

    def load(self, residency: Residency) -> None:
        """There is nothing to read."""

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        progress(1, 1)
        return request.image
