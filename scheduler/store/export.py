"""Which files an export of a run's edits consists of: decided from the ledger, without looking at any file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scheduler.base.text import counted, one_line
from scheduler.benchmark.layouts import FolderLayout, Names, PlacedPair, UnsuitablePairError
from scheduler.benchmark.units import EditUnit
from scheduler.store.results import Expected, Failure
from scheduler.store.rows import EditedRow
from scheduler.store.tally import PairTally, SampleTally

_SHOWN = 5


class ExportError(ValueError):
    """Nothing was written. ``problems`` has one line for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ExportedEdit:
    """An edit and its place: ``target`` is its path, ``source`` that of its source image if the layout wants it there.
    Both are relative to the folder of the sample. ``converted``: the image becomes a PNG.
    """

    unit: EditUnit
    row: EditedRow
    target: str
    converted: bool
    source: str | None
    source_sha256: str | None


@dataclass(frozen=True)
class ExportPlan:
    """The edits to export, and why each of the others has no image."""

    edits: tuple[ExportedEdit, ...]
    missing: tuple[tuple[EditUnit, str], ...]


def plan_export(tallies: Iterable[PairTally], expected: Expected, layout: FolderLayout) -> ExportPlan:
    """Give every edit of a run its place in the layout.

    Raises ``ExportError`` if the layout does not suit the pairs, or two edits have one place.
    """
    edits: list[ExportedEdit] = []
    missing: list[tuple[EditUnit, str]] = []
    unsuitable: list[str] = []
    pairs_at: defaultdict[str, list[str]] = defaultdict(list)
    for tally in tallies:
        units = [EditUnit(tally.category, tally.pair_id, sample) for sample in range(expected.samples_per_pair)]
        if tally.load_failure is not None:
            missing += ((unit, _reason(tally.load_failure)) for unit in units)
            continue
        try:
            names = layout.names(_placed(tally))
        except UnsuitablePairError as error:
            unsuitable.append(f"{units[0].key}: {error}")
            continue
        pairs_at["/".join(names)].append(units[0].key)
        for unit in units:
            sample = tally.samples.get(unit.sample, SampleTally())
            if sample.edit is not None and not sample.withdrawn:
                edits.append(_exported(unit, sample.edit, tally, names, layout))
            else:
                missing.append((unit, _reason(sample.edit_failure)))
    if unsuitable:
        raise ExportError(*_first(unsuitable, f"the layout {layout.name} does not suit this run: "))
    if shared := [f"{place}: {', '.join(pairs)}" for place, pairs in pairs_at.items() if len(pairs) > 1]:
        raise ExportError(*_first(shared, f"in the layout {layout.name} several pairs have one place, "))
    return ExportPlan(tuple(edits), tuple(missing))


def _exported(unit: EditUnit, row: EditedRow, tally: PairTally, names: Names, layout: FolderLayout) -> ExportedEdit:
    place, extension = "/".join(names), PurePosixPath(row.image).suffix.lower()
    known = extension in layout.extensions
    return ExportedEdit(
        unit=unit,
        row=row,
        target=place + (extension if known else layout.extensions[0]),
        converted=not known,
        source=f"{place}{layout.source_suffix}.png" if layout.source_suffix else None,
        source_sha256=tally.planned.source_sha256 if tally.planned else None,
    )


def _reason(failure: Failure | None) -> str:
    return "it has not been made yet" if failure is None else f"{failure.kind}: {failure.message}"


def sample_folder(folder: Path, sample: int) -> Path:
    """Return where the edits of this sample go: those of the second one on lie beside, as a run's own images do."""
    return Path(f"{folder.absolute()}-sample-{sample}") if sample else folder


def _placed(tally: PairTally) -> PlacedPair:
    planned = tally.planned
    if planned is None:
        return PlacedPair(tally.category, tally.pair_id)
    return PlacedPair(tally.category, tally.pair_id, planned.language, planned.task, planned.facts or {})


def _first(lines: list[str], start: str) -> list[str]:
    shown = [start + one_line(line, 400) for line in lines[:_SHOWN]]
    return shown + ([f"and {counted(len(lines) - _SHOWN, 'more pair')}"] if len(lines) > _SHOWN else [])
