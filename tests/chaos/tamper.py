"""Changes to the files of a run between its parts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.deeds import Tamper
from tests.chaos.standing import Unit


class Tampering:
    """Spoils files, and records for each spoilt edit how many lines the ledger had then."""

    def __init__(self) -> None:
        self.tampered: defaultdict[Unit, tuple[int, ...]] = defaultdict(tuple)

    def spoil(self, run: Path, tampers: Sequence[Tamper]) -> int:
        """Do those that concern files; return how many could be done."""
        return sum(self._spoil(run, tamper) for tamper in tampers)

    def _spoil(self, run: Path, tamper: Tamper) -> bool:
        ledger = run / "results.jsonl"
        if not ledger.exists():
            return False
        content = ledger.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        rows = [json.loads(line) for line in whole.splitlines()]
        match tamper.what:
            case "delete" | "overwrite":
                edits = [row for row in rows if row["event"] == "edited" and (run / row["image"]).exists()]
                if not edits:
                    return False
                scored = {Unit.of(row) for row in rows if row["event"] == "scored"}
                waiting = [row for row in edits if Unit.of(row) not in scored]
                chosen = waiting if waiting and tamper.number % 4 else edits
                row = chosen[tamper.number % len(chosen)]
                self._note(Unit.of(row), len(rows))
                path = run / row["image"]
                if tamper.what == "delete":
                    path.unlink()
                else:
                    others = [run / other["image"] for other in edits if other is not row]
                    # The worst that can be there: a good image that is another pair's.
                    path.write_bytes(others[tamper.number % len(others)].read_bytes() if others else b"nothing")
                return True
            case "half":
                if torn:
                    return False
                ledger.write_bytes(content + b'{"event":"scored","category":"\xe7\x89')
                return True
            case "cut":
                if torn or len(rows) < 2:
                    return False
                last = rows[-1]
                if last["event"] in ("edited", "scored"):
                    self._note(Unit.of(last), len(rows) - 1)
                ledger.write_bytes(content[: -1 - tamper.number % 30 - 1])
                return True
        return False

    def _note(self, unit: Unit, lines: int) -> None:
        self.tampered[unit] = (*self.tampered[unit], lines)
