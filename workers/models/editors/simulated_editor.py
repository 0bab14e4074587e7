"""An editor that occupies its device for a set time and returns the inverted source; see ``models/simulation.py``."""

from __future__ import annotations

import time

from PIL import Image

from workers.interface import Editor, EditRequest, Progress
from workers.models.declaration import ModelType, with_keys
from workers.models.keys import UNUSED_EDITOR_KEYS
from workers.models.simulation import SIMULATION_KEYS, SimulatedModel, hold, read_simulation, strike

DECLARATION = ModelType(
    name="simulated",
    role="editor",
    meaning="Inverts the image after a set time.",
    target="workers.models.editors.simulated_editor:SimulatedEditor",
    keys=with_keys(
        UNUSED_EDITOR_KEYS,
        *SIMULATION_KEYS,
    ),
    needs="none",
    note="The editor is simulated: it measures the scheduling, and its results carry no meaning.",
)

_INVERTED = list(range(255, -1, -1))
_KEPT = list(range(256))
_TABLES = {"RGB": 3 * _INVERTED, "RGBA": 3 * _INVERTED + _KEPT}


class SimulatedEditor(SimulatedModel, Editor):
    """Takes the time that its parameters set, including the work on the pixels, and fails where they say so."""

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        """Invert the colours and keep the alpha channel. A fault happens after half of the time.

        Raises:
            ModelError: ``config`` for parameters that are wrong, ``oom`` where the faults say so.
            RuntimeError: where the faults say so.
        """
        started = time.monotonic()
        simulation = read_simulation(request.parameters)
        seconds = simulation.edit_seconds(request.key, *(image.size for image in request.images))
        fault = simulation.fault(request.key, request.seed)
        if fault is not None:
            hold(started, seconds / 2, progress, burn_cpu=simulation.burn_cpu)
            strike(fault)
        edited = request.image.point(_TABLES[request.image.mode])
        hold(started, seconds, progress, burn_cpu=simulation.burn_cpu)
        return edited
