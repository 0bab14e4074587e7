"""An editor that breaks its CUDA context once, as a faulty kernel does, to show that the run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import Residency
from workers.interface import Editor, EditRequest, Progress


class BreaksContextOnce(Editor):
    """Returns its sources. The first edit ever, by the file ``marker``, triggers an assert on the device."""

    def load(self, residency: Residency) -> None:
        """Create the context."""
        import torch

        self._tensor: Any = torch.zeros(4, device=self.device if residency == "device" else "cpu")

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        """Return the source."""
        marker = Path(self.spec.params["marker"])
        if not marker.exists():
            marker.touch()
            self._break_context()
        progress(1, 1)
        return request.image

    def _break_context(self) -> None:
        import torch

        if not self.device.startswith("cuda"):
            raise RuntimeError("CUDA error: device-side assert triggered")  # what torch raises on a GPU
        # An index out of bounds: kernels assert that, and no call succeeds in this context afterwards.
        self._tensor[torch.tensor([10**6], device=self.device)].sum().item()
