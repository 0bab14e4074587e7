"""The aggregator's hands: images to disk, rows into the ledger, in a thread of its own.

What is waiting is written together and made durable by one fsync of the ledger; only then the run's loop is told. So a
row never names an image that is not there, and nothing that depends on a row begins before it is safe. It is not more
at a time than makes the fsync cheap: the first is not to wait for images that came long after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scheduler.base.files import folder_of, remove_file, write_atomically
from scheduler.store.rows import Row, encode_row
from scheduler.store.trace import DISK, Trace

log = logging.getLogger("warmbench")

_MOST_TOGETHER = 64
_IMAGES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be made durable: an image, if any, and the rows that tell of it; then ``done`` is posted.

    ``thumbnails`` are small pictures (path and content), which are written with an image, and not made durable: what a
    power cut takes of them is made anew, and so is what can't be written. The rows may be made as they are written, in
    the delivery's thread.
    """

    rows: Iterable[Row]
    image: tuple[str, bytes | memoryview] | None = None
    thumbnails: Sequence[tuple[str, bytes | memoryview]] = ()
    remove: str | None = None
    done: Callable[[], None] | None = None


class Delivery:
    """The thread that owns the ledger's file."""

    def __init__(
        self,
        ledger: Path,
        post: Callable[[Callable[[], None]], None],
        failed: Callable[[Exception], None],
        trace: Trace | None = None,
    ) -> None:
        """Open the ledger for appending. ``failed`` is posted, once, if the disk refuses; then nothing more is written.

        Raises:
            OSError: the ledger can't be opened.
        """
        self._file = ledger.open("ab")
        self._post = post
        self._failed = failed
        self._broken = False
        self._trace = trace
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._folders: set[str] = set()
        # Several fsyncs at once cost a disk little more than one.
        self._writers = ThreadPoolExecutor(_IMAGES_AT_ONCE, thread_name_prefix="image")
        self._thread = threading.Thread(target=self._work, name="delivery")
        self._thread.start()

    def put(self, item: Item) -> None:
        """Have this written, after all that came before it."""
        self._items.put(item)

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._items.put(None)
        self._thread.join()
        self._writers.shutdown()
        # What a full disk did not take is tried once more here, and is known by then.
        with contextlib.suppress(OSError):
            self._file.close()

    def _work(self) -> None:
        ended = False
        while not ended:
            taken = [self._items.get()]
            while len(taken) < _MOST_TOGETHER and not self._items.empty():
                taken.append(self._items.get_nowait())
            ended = None in taken
            items = [item for item in taken if item is not None]
            if items and not self._broken:
                self._write(items)

    def _write(self, items: Sequence[Item]) -> None:
        began = time.time()
        try:
            with_images = [item for item in items if item.image is not None]
            if len(with_images) == 1:  # most often
                self._write_images(with_images[0])
            else:
                list(self._writers.map(self._write_images, with_images))
            self._file.writelines(encode_row(row) for item in items for row in item.rows)
            self._file.flush()
            os.fsync(self._file.fileno())
            for item in items:
                if item.remove is not None:
                    remove_file(item.remove)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must hear of it, or it waits for ever
            self._broken = True
            problem = error
            self._post(lambda: self._failed(problem))
            return
        for item in items:
            if item.done is not None:
                self._post(item.done)
        if self._trace is not None:
            images = sum(item.image is not None for item in items)
            self._trace.span(DISK, "write", began, time.time(), {"items": len(items), "images": images})

    def _write_images(self, item: Item) -> None:
        if item.image is not None:
            self._write_image(*item.image, durable=True)
        for path, content in item.thumbnails:
            try:
                self._write_image(path, content, durable=False)
            except OSError as error:
                # A full disk refuses the ledger next; anything else is no reason to end a run.
                log.debug("%s could not be written: %s", path, error)

    def _write_image(self, path: str, content: bytes | memoryview, *, durable: bool) -> None:
        folder = folder_of(path)
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        write_atomically(path, content, durable=durable)
