"""What the product is compared with: pools of threads in one process, with the same codecs and the same device time.

They do less than the product does: no process of their own for a device, no image on disk, no ledger, no resumption,
and a device that fails takes everything with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec
from scripts.bench.timing import Span
from workers.codecs import decode_image, encode_png
from workers.editors.simulated import SimulatedEditor
from workers.interface import EditRequest


class _Devices:
    """The simulated devices: the product's own editor, called from as many threads as there are devices."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._editor = SimulatedEditor(ModelSpec(role="editor", type="simulated"), "cpu")
        self._parameters = parameters

    def edit(self, key: str, image: Image.Image) -> tuple[Image.Image, float, float]:
        """The edit, and when the device was held from and until."""
        started = time.time()
        request = EditRequest(image=image, instruction="", seed=0, key=key, parameters=self._parameters)
        edited = self._editor.edit(request, lambda _step, _steps: None)
        return edited, started, time.time()


def thread_pool(pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int) -> list[Span]:
    """A thread per device, which decodes, edits and encodes one pair after the other: the old system's way."""
    held = _Devices(parameters)

    def work(pair: tuple[str, bytes]) -> Span:
        edited, started, finished = held.edit(pair[0], decode_image(pair[1]))
        encode_png(edited)
        return Span(started, finished, time.time())

    with ThreadPoolExecutor(devices) as pool:
        return list(pool.map(work, pairs.items()))


def thread_pool_with_codecs(pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int) -> list[Span]:
    """A thread per device that only edits, beside a second pool, which decodes one pair ahead and encodes behind."""
    held = _Devices(parameters)
    waiting, lock = iter(pairs.items()), Lock()

    def encode(edited: Image.Image, started: float, finished: float) -> Span:
        encode_png(edited)
        return Span(started, finished, time.time())

    def next_pair() -> tuple[str, Future[Image.Image]] | None:
        with lock:
            pair = next(waiting, None)
        return None if pair is None else (pair[0], codecs.submit(decode_image, pair[1]))

    def device() -> Iterator[Future[Span]]:
        ahead = next_pair()
        while ahead is not None:
            (key, image), ahead = ahead, next_pair()
            yield codecs.submit(encode, *held.edit(key, image.result()))

    with ThreadPoolExecutor(devices) as codecs, ThreadPoolExecutor(devices) as pool:
        workers = [pool.submit(lambda: list(device())) for _ in range(devices)]
        return [span.result() for worker in workers for span in worker.result()]
