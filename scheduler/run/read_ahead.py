"""Has the files of the next checkpoint read and hashed while the last edits of the present one are made and scored."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

from protocol.pool import home
from scheduler.base.text import one_line
from scheduler.config.checks.model_lookup import model_file

log = logging.getLogger("warmbench")


class ReadAhead:
    """At most one process that reads. It gives way to all others, and ends with this process, however that ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._read: set[str] = set()

    def start(self, model: str, entry_file: str) -> None:
        """Begin to read this checkpoint, unless that was done before; ``entry_file`` is what its folder must have. One
        that is not on this machine is left to the load.
        """
        entry = model_file(model, entry_file)
        if model in self._read or entry is None or not entry.is_file():
            return
        self.stop()
        self._read.add(model)
        command = [sys.executable, "-m", "workers.read_ahead", str(entry.parent), str(home() / ".fingerprints.json")]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            log.debug("%s is not read ahead: %s", model, error)
            return
        log.info("Reading ahead: %s", one_line(Path(model)))

    def stop(self) -> None:
        """End the process: what it has not read is read by the worker, which would wait for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None
