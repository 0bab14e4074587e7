"""How long moving a model's weights takes: from disk, to the host and back, and in place of another checkpoint's.

``python -m scripts.full_size.moves JOB`` uses the worker's own classes, without a scheduler. The editor also makes an
edit: the longer time of a run's edits is the cost of processes, messages and image files.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec
from scripts.bench.pictures import picture
from scripts.full_size.architectures import architecture
from scripts.full_size.build import build_second_editor
from scripts.full_size.jobs import Report, work_on_job
from scripts.full_size.torch_device import synchronize, torch_peak
from workers.fingerprint import fingerprint
from workers.interface import Editor, EditRequest, Model
from workers.models.device_memory import free_memory
from workers.models.registry import make_model

_PROBE_BYTES = 64 * 1024**2


def measure_moves(job: Mapping[str, Any], report: Report) -> None:
    """Report the seconds of each move of one model, up to the first that fails."""
    role, device = job["role"], job["device"]
    spec = ModelSpec(role=role, type=job["type"], name=job["folder"], params={"dtype": job["dtype"]})
    if role == "editor":
        build_second_editor(Path(job["folder"]), Path(job["second"]), architecture(job["size"], job["layers"]), device)
    model = make_model(spec, device)

    def took(what: str, act: Callable[[], Any], **more: Any) -> None:
        synchronize(device)
        started = time.perf_counter()
        act()
        synchronize(device)
        seconds = time.perf_counter() - started
        report({"what": f"{role}: {what}", "figure": f"{seconds:.3g} s", "seconds": seconds, **more})

    model.prepare()
    files = model.weight_files()
    rate = drop_from_page_cache(files)
    took("loaded from disk, page cache dropped", lambda: model.load("device"), gb_per_second_after_dropping=rate)
    if isinstance(model, Editor):
        _edit(model, {**job["parameters"], "num_inference_steps": 2}, job["side"])  # warm up
        edit, steps = partial(_edit, model, job["parameters"], job["side"]), job["parameters"]["num_inference_steps"]
        took(f"an edit without a scheduler, {steps} steps", edit)
        del edit
        if peak := torch_peak(device):
            report({"what": "editor: torch's peak memory so far", "figure": f"{peak:.1f} GB", "gb": peak})
    size = model.size_bytes()
    took("left the device", lambda: model.place("host"), bytes=size, private_bytes=model.host_bytes())
    took("returned to the device", lambda: model.place("device"), bytes=size)
    if role == "editor":
        second = ModelSpec(role=role, type=job["type"], name=job["second"], params={"dtype": job["dtype"]})
        # Weak references: the editor could not drop modules that are held here.
        before = {name: weakref.ref(module) for name, module in _modules(model).items()}
        took("another checkpoint loaded in place", lambda: _replace(model, second))
        kept = [name for name, module in _modules(model).items() if before[name]() is module]
        report({"what": "editor: components that took the weights in place", "figure": ", ".join(kept) or "none"})
    del model
    gc.collect()
    free_memory()
    model = make_model(spec, device)
    took("dropped, then loaded again from the page cache", lambda: model.load("device"))
    with tempfile.TemporaryDirectory() as folder:
        took("its files hashed", lambda: fingerprint(spec, files, Path(folder, "cache.json")))


def drop_from_page_cache(files: Any) -> float:
    """Drop these files from the page cache; return how fast one is read afterwards, in GB/s.

    (More than a few GB/s means that it did not work: on a tmpfs, or if the kernel ignores the advice.)
    """
    os.sync()
    largest = max(files, key=lambda name: Path(name).stat().st_size)
    for name in files:
        with Path(name).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    started = time.perf_counter()
    with Path(largest).open("rb") as file:
        read = len(file.read(_PROBE_BYTES))
    return round(read / (time.perf_counter() - started) / 1e9, 2)


def _edit(model: Editor, parameters: Mapping[str, Any], side: int) -> None:
    request = EditRequest(picture(0, side), "invert the colours (0)", 0, "category-0/0000", parameters)
    model.edit(request, lambda _step, _steps: None)


def _replace(model: Model, spec: ModelSpec) -> None:
    if not model.replace(spec):
        raise ValueError("the editor does not take the other checkpoint's weights")
    model.place("device")


def _modules(model: Model) -> dict[str, Any]:
    pipeline = model._pipeline  # type: ignore[attr-defined]
    return {name: getattr(pipeline, name) for name in ("transformer", "text_encoder", "vae")}


if __name__ == "__main__":
    work_on_job(measure_moves)
