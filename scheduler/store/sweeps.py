"""The folder of a sweep, ``<output_dir>/sweeps/<stamp>``, with ``sweep.json``, which names its runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from scheduler.base.files import write_atomically
from scheduler.base.text import encodable
from scheduler.store.ledger import LedgerLock
from scheduler.store.run_names import NoSuchRunError, make_stamped_folder

SWEEP = "sweep.json"
_STAMP = re.compile(r"\d{8}_\d{6}(?:_\d+)?")
_LOCK = ".lock"


class SweepEntry(Struct, frozen=True, kw_only=True):
    """A checkpoint and its run; see ``scheduler.run.sweep_order.Checkpoint``."""

    model: str
    run: str | None = None
    code: int | None = None
    reason: str | None = None
    stages: tuple[str, ...] = ()


class SweepFile(Struct, frozen=True, kw_only=True):
    """``sweep.json``."""

    sweep: str
    started: str
    command: list[str]
    checkpoints: list[SweepEntry]


class SweepDirectory:
    """It belongs to one process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises ``LedgerBusyError`` if another process works on the sweep, ``OSError``."""
        self.path = path
        self.stamp = path.name
        self._lock = LedgerLock(path / _LOCK)

    @classmethod
    def create(cls, output_dir: Path) -> SweepDirectory:
        """Create one, which no other sweep has. Raises ``OSError``."""
        return cls(make_stamped_folder(output_dir / "sweeps"))

    @classmethod
    def reopen(cls, output_dir: Path, sweep: str) -> SweepDirectory:
        """Open that of an earlier part: an id, or ``latest``. Raises ``NoSuchRunError``, ``LedgerBusyError``."""
        return cls(find_sweep(output_dir, sweep))

    def read(self) -> SweepFile:
        """Return ``sweep.json``. Raises ``NoSuchRunError``: it cannot be read."""
        return read_sweep(self.path)

    def write(self, started: str, command: Sequence[str], checkpoints: Sequence[SweepEntry]) -> None:
        """Write ``sweep.json``. Raises ``OSError``."""
        entries = [msgspec.structs.replace(entry, reason=_text(entry.reason)) for entry in checkpoints]
        file = SweepFile(
            sweep=self.stamp, started=started, command=[encodable(word) for word in command], checkpoints=entries
        )
        text = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
        write_atomically(self.path / SWEEP, text, sync_folder=True)

    def discard(self) -> None:
        """Remove it: nothing was run."""
        for name in (SWEEP, _LOCK):
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()

    def close(self) -> None:
        """Release it to other processes."""
        self._lock.release()


def find_sweep(output_dir: Path, sweep: str) -> Path:
    """Return the folder of the sweep with this id, or of the ``latest``. Raises ``NoSuchRunError``."""
    folder = output_dir / "sweeps"
    found = {path.parent.name: path.parent for path in folder.glob(f"*/{SWEEP}") if _STAMP.fullmatch(path.parent.name)}
    if sweep == "latest" and found:
        return found[max(found, key=lambda name: (name[:15], int(name[16:] or 1)))]
    if sweep not in found:
        what = f"no sweep {sweep!r}" if found else "no sweep"
        raise NoSuchRunError(f"there is {what} in {folder}: without --editor-models, --resume names a run")
    return found[sweep]


def read_sweep(path: Path) -> SweepFile:
    """Return the ``sweep.json`` of this folder. Raises ``NoSuchRunError``: it cannot be read."""
    try:
        return msgspec.json.decode((path / SWEEP).read_bytes(), type=SweepFile)
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise NoSuchRunError(f"{path / SWEEP} can't be read: {error}") from error


def _text(reason: str | None) -> str | None:
    return None if reason is None else encodable(reason)
