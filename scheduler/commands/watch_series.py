"""The series of a watch: written anew after each evaluation, with what ``--fail-if-worse`` says of its last run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scheduler.base.text import counted, one_line
from scheduler.report.series import words
from scheduler.report.series.gate import GateRule
from scheduler.report.series.model import Gate
from scheduler.report.series.writing import write_series


class WatchSeries:
    """``folder`` gets its files."""

    def __init__(self, folder: Path, rule: GateRule | None) -> None:
        self._folder = folder
        self._rule = rule
        self._gate: Gate | None = None
        self._unwritten = False
        self._due = self._plots_due = False

    def outdated(self) -> None:
        """A run has ended since it was written."""
        self._due = self._plots_due = True

    def write(self, runs: Sequence[Path], *, plots: bool) -> list[str]:
        """Write the series of these runs if it is outdated, and return what is to be said about it. The ``plots`` take
        seconds: without them, they are still to be written.
        """
        if not runs or not (self._due or (plots and self._plots_due)):
            return []
        announced, self._due, self._plots_due = not self._due, False, not plots
        self._unwritten = True
        try:
            written = write_series(runs, self._folder, self._rule, plots=plots)
        except (OSError, ValueError) as error:
            return [f"The series can't be written: {error}"]
        self._unwritten = False
        self._gate = written.series.gate
        if announced:
            return []
        lines = [f"Series of {counted(len(runs), 'run')}: {self._folder}"]
        if self._gate is not None:
            lines.append(words.gate_line(written.series, self._gate, one_line))
        return lines

    @property
    def codes(self) -> set[int]:
        """What the series adds to the exit codes: 1 if it is not written, 4 for worse, 3 if that cannot be decided."""
        codes = {1} if self._unwritten else set()
        if self._rule is None or (self._gate is not None and self._gate.worse is False):
            return codes
        return codes | ({3} if self._gate is None or self._gate.worse is None else {4})
