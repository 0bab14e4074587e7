"""Makes edits of images that were made elsewhere: each image is checked and recorded.

An image is known by its bytes: one that was moved keeps its scores, one that was changed loses them. An edit without a
usable image has failed in the stage ``edit``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scheduler.base.text import encodable, one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import NO_IMAGE, EditsElsewhere
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.sources import FileSource
from scheduler.benchmark.units import AllEdits, EditUnit
from scheduler.run.planner import WRONG_IMAGE, Planner, outdated
from scheduler.stages.edit_rows import MAX_MESSAGE, failed_edit
from scheduler.stages.identity import elsewhere_identity
from scheduler.store.rows import EditedRow
from scheduler.store.run_directory import thumbnail_path
from scheduler.store.tally import SampleTally


@dataclass
class Admission(Planner):
    """What there is to score, given the images; ``reward`` is None for a run that has no scores yet."""

    elsewhere: EditsElsewhere

    def _look_at(self, unit: EditUnit, sample: SampleTally) -> None:
        try:
            path, image = look_at(self.elsewhere, unit)
        except RefusedError as error:
            self._refuse(unit, sample, error)
            return
        before = None if sample.withdrawn else sample.edit
        if before is None or (before.sha256, before.image) != (image.sha256, path):
            if before is not None:
                self._rows.append(outdated(unit, "edit", WRONG_IMAGE))
            self._rows.append(_edited(unit, path, image))
        # The scores of a withdrawn edit come back with an image of the same bytes.
        kept = sample.edit is not None and sample.edit.sha256 == image.sha256
        thumbnail = thumbnail_path(self.directory.path, unit.category, unit.pair_id, unit.sample)
        if not kept and Path(thumbnail).exists():
            self._remaining.stale.append(thumbnail)  # it shows another image
        counting = self._counting_scores(unit, sample if kept else SampleTally(), image.sha256)
        self._reuse(unit, sample, image.sha256, counting)

    def _refuse(self, unit: EditUnit, sample: SampleTally, error: RefusedError) -> None:
        self._remaining.missing[error.kind] += 1
        known = sample.edit_failure
        if known is not None and (known.kind, known.message) == (error.kind, error.message):
            return
        if sample.edit is not None and not sample.withdrawn:
            self._rows.append(outdated(unit, "edit", WRONG_IMAGE))
        self._rows.append(failed_edit(unit, None, "edit", error.kind, error.message, identity=None))


class RefusedError(Exception):
    """An edit has no usable image; ``kind`` and ``message`` are those of its failure."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message[:MAX_MESSAGE]


def look_at(edits: EditsElsewhere, unit: EditUnit, *, thorough: bool = False) -> tuple[str, FileSource]:
    """The path of this edit's image, and the image; ``thorough`` decodes every pixel of it.

    Raises:
        RefusedError: there is no image, or it cannot be used.
    """
    if unit in edits.refused:
        raise RefusedError("bad_image", edits.refused[unit])
    if unit not in edits.images:
        expected = f"; expected is {edits.missing[unit]}" if unit in edits.missing else ""
        raise RefusedError(NO_IMAGE, f"there is no image of it in {edits.place}{expected}")
    path = Path(edits.images[unit])
    if encodable(str(path)) != str(path):
        raise RefusedError("bad_image", f"the path {one_line(path, 400)} is not valid UTF-8")
    try:
        if not path.exists():
            raise RefusedError(NO_IMAGE, f"there is no file {path}")
        if not path.is_file():
            raise RefusedError("bad_image", f"{path} is not a file")
        return str(path), FileSource.inspect(path, thorough=thorough)
    except PairError as error:
        raise RefusedError(error.kind, error.message) from error
    except OSError as error:
        raise RefusedError("bad_image", f"{path} can't be looked at: {error.strerror or error}") from error


def refused_edits(
    edits: EditsElsewhere, benchmark: Benchmark, samples_per_pair: int
) -> list[tuple[EditUnit, RefusedError]]:
    """The edits that cannot be judged; decodes every image."""
    refused = []
    for unit in AllEdits(benchmark.pairs, samples_per_pair):
        try:
            look_at(edits, unit, thorough=True)
        except RefusedError as error:
            refused.append((unit, error))
    return refused


def _edited(unit: EditUnit, path: str, image: FileSource) -> EditedRow:
    return EditedRow(
        category=unit.category,
        pair_id=unit.pair_id,
        sample=unit.sample,
        identity=elsewhere_identity(image.sha256),
        image=path,
        sha256=image.sha256,
        size=image.size,
    )
