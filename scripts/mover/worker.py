"""A worker process without sockets: it reads orders as JSON lines and answers each with one.

``python -m scripts.mover.worker POOL_FOLDER`` holds a model with the class that real workers hold theirs with.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec
from scripts.mover.models import CHANGES, hashes
from workers.device import Watchdog
from workers.holder import ModelHolder
from workers.interface import ModelError, WorkerContext

_TIMEOUT = 600.0


def main() -> None:
    """Carry out orders until the input ends."""
    watchdog = Watchdog()
    holder = ModelHolder("cpu", watchdog, WorkerContext(folder=Path(sys.argv[1])))
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"value": _carry_out(holder, order)}
        except ModelError as error:
            answer = {"error": error.kind, "message": str(error)}
        watchdog.disarm()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free is given back now, and not when the allocator likes
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # nothing is left to be done, and tearing down the libraries takes seconds


def _carry_out(holder: ModelHolder, order: dict[str, Any]) -> Any:
    model: Any = holder._model
    match order["do"]:
        case "load":
            spec = ModelSpec(**order["spec"])
            holder.load(spec, order["to"], serial=False, timeout=_TIMEOUT, enter=lambda _phase: None)
        case "place":
            holder.place(order["to"])
        case "change":
            CHANGES[order["how"]](model)
        case "state":
            found = hashes(model.modules)
            return {
                "tensors": len(found),
                "hash": hashlib.sha256(json.dumps(found).encode()).hexdigest(),
                "output": model.output() if order["run"] else None,
                "private_copies": model.host_bytes(),
                "files": [file for file in model.mapped_files() if file.endswith(".safetensors")],
            }
        case "stale":
            return holder.is_stale()
    return None


if __name__ == "__main__":
    main()
