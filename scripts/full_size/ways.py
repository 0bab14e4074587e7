"""What each way to run an editor takes and changes: seconds, memory, and how far its edit is from the default's.

``python -m scripts.full_size.ways JOB`` uses the worker's own classes, without a scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protocol.devices import gpu_group
from protocol.messages import ModelSpec
from scheduler.base.text import counted
from scheduler.report.compare.image_distance import distance_of
from scripts.bench.pictures import picture
from scripts.full_size.jobs import Report, work_on_job
from scripts.full_size.torch_device import forget_peak, synchronize, torch_peak
from workers.interface import Editor, EditRequest, ModelError
from workers.models.device_memory import free_memory
from workers.models.registry import EDITORS, make_model

_DEFAULT = "default"


@dataclass(frozen=True)
class Way:
    """The keys of ``params`` that are set, and what a machine must have for it."""

    params: Mapping[str, Any] = field(default_factory=dict)
    gpus: int = 0


def ways(kind: str) -> dict[str, Way]:
    """Every way to run an editor of this type, the default first. ``gpus`` is what bitsandbytes needs, too."""
    key = EDITORS.get(kind).key("optimizations")
    assert key is not None  # noqa: S101 - both editors have it
    return {
        _DEFAULT: Way(),
        **{f"optimizations: {name}": Way({"optimizations": dict(values)}) for name, values in key.sets.items()},
        "offload: model": Way({"offload": "model"}),
        "offload: group": Way({"offload": "group"}),
        "quantization: int8": Way({"quantization": "int8"}),
        "quantization: float8": Way({"quantization": "float8"}),
        "quantization: nf4": Way({"quantization": "nf4"}, gpus=1),
        "offload: model, quantization: int8": Way({"offload": "model", "quantization": "int8"}),
        "offload: model, quantization: nf4": Way({"offload": "model", "quantization": "nf4"}, gpus=1),
        "gpus_per_worker: 2": Way(gpus=2),
    }


def measure_ways(job: Mapping[str, Any], report: Report) -> None:
    """Load the editor in each way and make two edits; report a figure, or why there is none."""
    kept = Path(job["kept"])
    for name, way in ways(job["type"]).items():
        what = f"{job['role']}, `{name}`" if name != _DEFAULT else f"{job['role']}, default"
        if what in job["measured"]:
            continue
        try:
            made, figures = _edit(way, job)
        except Exception as error:  # noqa: BLE001 - the next one may work
            if isinstance(error, ModelError) and error.kind == "config":
                report({"what": what, "figure": f"not possible here: {error}", "impossible": str(error)})
            else:
                report({"what": what, "error": f"{type(error).__name__}: {error}"})
            continue
        finally:
            free_memory()
        if name == _DEFAULT:
            made.save(kept)
        elif kept.exists():
            figures |= _distance(made, kept)
        report({"what": what, "figure": _shown(figures), **figures})


def _device(way: Way, device: str) -> str:
    import torch

    there = torch.cuda.device_count() if device.startswith("cuda") else 0
    if way.gpus > there:
        raise ModelError("config", f"it needs {counted(way.gpus, 'GPU')}, and there is {there or 'none'}")
    return gpu_group(range(way.gpus)) if way.gpus > 1 else device


def _edit(way: Way, job: Mapping[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """The second edit of an editor that is loaded in this way, and what it took."""
    device = _device(way, job["device"])
    params = {"dtype": job["dtype"], "threads_per_worker": 1, **way.params}
    model = make_model(ModelSpec(role="editor", type=job["type"], name=job["folder"], params=params), device)
    assert isinstance(model, Editor)  # noqa: S101 - the catalog has it so
    forget_peak(job["device"])
    started = time.perf_counter()
    model.prepare()
    model.load("device")
    synchronize(job["device"])
    loaded = time.perf_counter()
    request = EditRequest(picture(0, job["side"]), "invert the colours (0)", 0, "category-0/0000", job["parameters"])
    moments = [loaded]
    for _ in range(2):
        made = model.edit(request, lambda _step, _steps: None)
        synchronize(job["device"])
        moments.append(time.perf_counter())
    figures = {
        "load_seconds": loaded - started,
        "first_edit_seconds": moments[1] - moments[0],
        "seconds_per_edit": moments[2] - moments[1],
        "bytes": model.size_bytes(),
        "host_bytes": model.host_bytes(),
        "torch_memory_peak_gb": torch_peak(job["device"]),
    }
    return made, figures


def _distance(made: Image.Image, kept: Path) -> dict[str, Any]:
    with Image.open(kept) as default:
        distance = distance_of(np.asarray(made), np.asarray(default.convert("RGB")))
    return {
        "mean_difference": distance.mean,
        "largest_difference": distance.largest,
        "psnr": distance.psnr,
        "ssim": distance.ssim,
    }


def _shown(figures: Mapping[str, Any]) -> str:
    text = f"{figures['seconds_per_edit']:.2f} s, the first {figures['first_edit_seconds']:.2f} s"
    text += f", loaded in {figures['load_seconds']:.1f} s; weights {figures['bytes'] / 1e9:.3g} GB"
    peak = figures["torch_memory_peak_gb"]
    text += f", peak {peak:.1f} GB" if peak else ", memory of a GPU not measured on a CPU"
    if "psnr" not in figures:
        return text
    if figures["psnr"] is None:
        return f"{text}; the same pixels as the default"
    return f"{text}; largest difference {figures['largest_difference']}, PSNR {figures['psnr']:.1f} dB"


if __name__ == "__main__":
    work_on_job(measure_ways)
