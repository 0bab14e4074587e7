"""The peers that the product is compared with: the usual pools, with the same codecs and the same device time.

Pools of threads are here, pools of processes in ``scripts.bench.peer_processes``. All of them do less than the product:
no barrier, no thumbnails, no resumption; only those that keep their results write images, with a row for each.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec
from scheduler.base.files import write_atomically
from scripts.bench.timing import Span
from workers.codecs import decode_image, encode_png
from workers.interface import EditRequest
from workers.models.editors.simulated_editor import SimulatedEditor

THREADS, PREFETCHING = "thread pool", "thread pool + codec pool"
PROCESSES, RAY, DASK = "process pool", "Ray actor pool", "Dask distributed"
RAY_KEEPING, PREFETCHING_KEEPING = f"{RAY}, results kept", f"{PREFETCHING}, results kept"

NEEDS: Mapping[str, str] = {RAY: "ray", RAY_KEEPING: "ray", DASK: "distributed"}
"""The package that a peer needs; the others need none."""


def missing(peer: str) -> str | None:
    """Why this peer cannot be measured here; None if it can."""
    package = NEEDS.get(peer)
    return None if package is None or find_spec(package) else f"{package} is not installed"


class Kept:
    """Stores results as safely as a run: each image, then its row in a file, both with an fsync."""

    def __init__(self, folder: Path) -> None:
        self._images = folder / "images"
        self._images.mkdir(parents=True)
        self._rows = (folder / "rows.jsonl").open("ab", buffering=0)
        self._lock = Lock()

    def keep(self, key: str, image: bytes) -> float:
        """Store a result; return the time at which the image had its name on disk. Safe from any thread."""
        digest = hashlib.sha256(image).hexdigest()
        path = self._images / f"{key.replace('/', '-')}.png"
        write_atomically(path, image)
        delivered = time.time()
        with self._lock:
            self._rows.write(json.dumps({"key": key, "image": str(path), "sha256": digest}).encode() + b"\n")
            os.fsync(self._rows.fileno())
        return delivered

    def close(self) -> None:
        """Close the file."""
        self._rows.close()


class Devices:
    """Simulated devices: the product's own editor, called by one thread or process per device."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._editor = SimulatedEditor(ModelSpec(role="editor", type="simulated"), "cpu")
        self._parameters = parameters

    def edit(self, key: str, image: Image.Image) -> tuple[Image.Image, float, float]:
        """The edit, and when the device started and finished it."""
        started = time.time()
        request = EditRequest(image=image, instruction="", seed=0, key=key, parameters=self._parameters)
        edited = self._editor.edit(request, lambda _step, _steps: None)
        return edited, started, time.time()

    def work(self, key: str, image: bytes) -> tuple[bytes, float, float]:
        """Decode, edit and encode a pair."""
        edited, started, finished = self.edit(key, decode_image(image))
        return encode_png(edited), started, finished

    def ready(self) -> bool:
        """Returns when the device's process has started."""
        return True


def thread_pool(pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int) -> list[Span]:
    """One thread per device, which decodes, edits and encodes one pair after the other, like the old system."""
    held = Devices(parameters)

    def work(pair: tuple[str, bytes]) -> Span:
        _, started, finished = held.work(*pair)
        return Span(started, finished, time.time())

    with ThreadPoolExecutor(devices) as pool:
        return list(pool.map(work, pairs.items()))


def thread_pool_with_codecs(
    pairs: Mapping[str, bytes],
    parameters: Mapping[str, Any],
    devices: int,
    keep: Callable[[str, bytes], float] = lambda _key, _image: time.time(),
) -> list[Span]:
    """One thread per device that only edits, and a second pool that decodes one pair ahead, and encodes.

    ``keep`` gets each result, in the second pool, and returns when it was delivered.
    """
    held = Devices(parameters)
    waiting, lock = iter(pairs.items()), Lock()

    def encode(key: str, edited: Image.Image, started: float, finished: float) -> Span:
        return Span(started, finished, keep(key, encode_png(edited)))

    def next_pair() -> tuple[str, Future[Image.Image]] | None:
        with lock:
            pair = next(waiting, None)
        return None if pair is None else (pair[0], codecs.submit(decode_image, pair[1]))

    def device() -> Iterator[Future[Span]]:
        ahead = next_pair()
        while ahead is not None:
            (key, image), ahead = ahead, next_pair()
            yield codecs.submit(encode, key, *held.edit(key, image.result()))

    with ThreadPoolExecutor(devices) as codecs, ThreadPoolExecutor(devices) as pool:
        workers = [pool.submit(lambda: list(device())) for _ in range(devices)]
        return [span.result() for worker in workers for span in worker.result()]


def thread_pool_keeping(
    pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int, folder: Path
) -> list[Span]:
    """The same, with each result stored in this new folder."""
    kept = Kept(folder)
    try:
        return thread_pool_with_codecs(pairs, parameters, devices, kept.keep)
    finally:
        kept.close()
