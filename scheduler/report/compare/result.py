"""All that ``warmbench compare`` has found, as data: what its table, its Markdown and its JSON are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.report import Report
from scheduler.report.compare.comparison import Comparison, compare
from scheduler.report.saved_run import SavedRun
from scheduler.store.manifest_differences import manifest_differences


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the runs. ``label`` is a letter, ``A`` for the first. ``running``: it is not over yet."""

    label: str
    run: SavedRun
    report: Report
    running: bool


@dataclass(frozen=True, slots=True)
class Against:
    """A further run against the first; ``settings`` are those that differ and decide results, a line each."""

    other: Compared
    settings: tuple[str, ...]
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Result:
    """The runs in their order, and each but the first against the first. ``limit`` is what ``--fail-if-worse`` says."""

    runs: tuple[Compared, ...]
    against: tuple[Against, ...]
    limit: float | None

    @property
    def first(self) -> Compared:
        """What all others are compared with."""
        return self.runs[0]

    @property
    def worse(self) -> list[Against]:
        """Those that are worse than the first by more than the limit."""
        limit = self.limit
        return [] if limit is None else [one for one in self.against if one.comparison.is_worse(limit)]

    @property
    def empty(self) -> list[Against]:
        """Those that have not a single pair to be compared."""
        return [one for one in self.against if not one.comparison.pairs]


def compare_all(runs: Sequence[SavedRun], limit: float | None) -> Result:
    """Read the runs and compare each with the first.

    Raises:
        OSError: a ledger can't be read.
    """
    compared = []
    for number, run in enumerate(runs):
        running = run.is_running() is True
        compared.append(Compared(_label(number), run, run.report(), running))
    first = compared[0]
    against = [Against(one, _settings(first.run, one.run), compare(first.report, one.report)) for one in compared[1:]]
    return Result(tuple(compared), tuple(against), limit)


def _label(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"R{number + 1}"


def _settings(first: SavedRun, other: SavedRun) -> tuple[str, ...]:
    try:
        return tuple(manifest_differences(first.manifest, other.manifest))
    except (AttributeError, KeyError, TypeError) as error:
        return (f"unknown: a manifest has not the form of this version's ({type(error).__name__}: {error})",)
