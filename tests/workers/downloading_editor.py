"""An editor whose model has to be downloaded first."""

from __future__ import annotations

import time

from PIL import Image

from protocol.messages import Residency
from workers.interface import Editor, EditRequest, FetchProgress, Progress


class DownloadingEditor(Editor):
    """Its download has ``parts``, 0.2 s each; with ``stalls`` it then stops."""

    def fetch(self, progress: FetchProgress) -> None:
        for _ in range(self.spec.params["parts"]):
            time.sleep(0.2)
            progress()
        if self.spec.params["stalls"]:
            time.sleep(60)

    def load(self, residency: Residency) -> None:
        """There is nothing to read."""

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        return request.image
