"""The aggregator's writer: images to disk and rows into the ledger, in a thread of its own.

Entries that wait are written together and made durable by one fsync of the ledger; then ``done`` of each is called in
the run's loop. So a row never names an image that is missing, and no work that depends on a row starts before the row
is durable. The number of entries per write is limited, so that the first does not wait for images that came much later.
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
from pathlib import Path

from msgspec import Struct

from scheduler.base.files import folder_of, remove_file, write_atomically
from scheduler.store.rows import Row, encode_row
from scheduler.store.trace import DISK, Trace

log = logging.getLogger("warmbench")

_MAX_ENTRIES = 64
_IMAGE_WRITERS = 8


class LedgerEntry(Struct, frozen=True):
    """Rows to be made durable, and the image, if any, that they name; then ``done`` is posted.

    ``thumbnails`` (path and content) are written too but not made durable: reports make missing ones again. ``remove``
    is a file to delete once the rows are durable. ``rows`` may be a generator; it runs in the delivery's thread.
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
        """Open the ledger for appending. ``failed`` is posted at the first failure; nothing is written after it."""
        self._file = ledger.open("ab")
        self._post = post
        self._failed = failed
        self._broken = False
        self._trace = trace
        self._queue: queue.SimpleQueue[LedgerEntry | None] = queue.SimpleQueue()
        self._folders: set[str] = set()
        # Several fsyncs in parallel cost little more than one.
        self._writers = ThreadPoolExecutor(_IMAGE_WRITERS, thread_name_prefix="image")
        self._thread = threading.Thread(target=self._work, name="delivery")
        self._thread.start()

    def put(self, entry: LedgerEntry) -> None:
        """Write this after all earlier entries."""
        self._queue.put(entry)

    def close(self) -> None:
        """Write the remaining entries and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._writers.shutdown()
        # Closing writes again what a full disk refused; that failure was reported already.
        with contextlib.suppress(OSError):
            self._file.close()

    def _work(self) -> None:
        ended = False
        while not ended:
            waiting = [self._queue.get()]
            while len(waiting) < _MAX_ENTRIES and not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            ended = None in waiting
            entries = [entry for entry in waiting if entry is not None]
            if entries and not self._broken:
                self._write(entries)

    def _write(self, entries: Sequence[LedgerEntry]) -> None:
        started = time.time()
        try:
            with_images = [entry for entry in entries if entry.image is not None]
            if len(with_images) == 1:  # most often
                self._write_images(with_images[0])
            else:
                list(self._writers.map(self._write_images, with_images))
            self._file.writelines(encode_row(row) for entry in entries for row in entry.rows)
            self._file.flush()
            os.fsync(self._file.fileno())
            for entry in entries:
                if entry.remove is not None:
                    remove_file(entry.remove)
        except Exception as error:  # noqa: BLE001 - the run must learn of any failure, or it waits for ever
            self._broken = True
            problem = error
            self._post(lambda: self._failed(problem))
            return
        for entry in entries:
            if entry.done is not None:
                self._post(entry.done)
        if self._trace is not None:
            images = sum(entry.image is not None for entry in entries)
            self._trace.span(DISK, "write", started, time.time(), {"items": len(entries), "images": images})

    def _write_images(self, entry: LedgerEntry) -> None:
        if entry.image is not None:
            self._write_image(*entry.image, durable=True)
        for path, content in entry.thumbnails:
            try:
                self._write_image(path, content, durable=False)
            except OSError as error:
                # If the disk is full, the ledger fails next; anything else must not end a run.
                log.debug("%s could not be written: %s", path, error)

    def _write_image(self, path: str, content: bytes | memoryview, *, durable: bool) -> None:
        folder = folder_of(path)
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        write_atomically(path, content, durable=durable)
