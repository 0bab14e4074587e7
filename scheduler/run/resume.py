"""Resuming a run: which edits still count, which are taken over from other runs, which are made again, and why.

A stage that is not asked for has no model, so its results are taken as they are: scoring alone takes the edits whose
source and instruction are still those of the benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.base.files import remove_file, take_file
from scheduler.benchmark.pairs import Benchmark
from scheduler.benchmark.units import AllEdits, EditUnit
from scheduler.run.planner import (
    FAILED,
    GONE_THERE,
    MADE_AGAIN,
    NEW,
    NO_IMAGE,
    OTHER,
    OTHER_SOURCE,
    OTHER_TEXT,
    WRONG_IMAGE,
    WRONG_THERE,
    Counting,
    Planner,
    Remaining,
    image_state,
    outdated,
    planned_rows,
)
from scheduler.run.reuse import OfferedEdit
from scheduler.store.rows import EditedRow, PlannedRow
from scheduler.store.run_directory import thumbnail_path
from scheduler.store.tally import SampleTally


@dataclass
class Resumption(Planner):
    """What is left of a run that makes its edits itself.

    ``editor`` is the loaded editor's fingerprint, None if this part of the run has no editor.
    """

    editor: str | None = field(kw_only=True)
    keep_images: bool = field(kw_only=True)

    def _look_at(self, unit: EditUnit, sample: SampleTally) -> None:
        edit = sample.edit
        reason: str | None = NEW if sample.edit_failure is None else FAILED
        counting = Counting()
        path = self.directory.image_path(unit.category, unit.pair_id, unit.sample)
        if edit is not None:
            counting = self._counting_scores(unit, sample, edit.sha256)
            reason = self._why_unusable(unit, sample, edit, path, complete=self._is_complete(unit, counting))
        if reason is None and edit is not None:
            if self._reuse(unit, sample, edit.sha256, counting) and not self.keep_images:
                self._remaining.removable.append(path)
            return
        # A run that only scores cannot replace an edit, whose file may come back.
        file_alone = self.editor is None and reason in (NO_IMAGE, WRONG_IMAGE)
        if edit is not None and not (sample.withdrawn or file_alone):
            self._rows.append(outdated(unit, "edit", str(reason)))
        offered, state = self._offered(unit)
        if offered is not None and state in ("right", "unneeded"):
            self._take_over(unit, sample, offered, path, image_needed=state == "right")
            return
        if edit is not None and not file_alone:
            self._remaining.stale.append(self._thumbnail(unit))
        self._take(counting.offered)
        if edit is None and offered is not None:
            reason = WRONG_THERE if state == "wrong" else GONE_THERE
            counting = self._take_withdrawn(unit, offered, path, reason)
        self._keep(counting)
        self._make(unit, str(reason))

    def _why_unusable(
        self, unit: EditUnit, sample: SampleTally, edit: EditedRow, path: str, *, complete: bool
    ) -> str | None:
        """Why the run's own edit cannot be used; None if it can. ``complete``: it has all of its scores."""
        reason = OTHER if sample.withdrawn else self._why_outdated(unit, sample.planned, edit.identity)
        if reason is not None or not (self.keep_images or not complete):
            return reason
        recorded = edit.image == self.directory.recorded(path)
        state = image_state(path, edit.sha256) if recorded else "missing"
        if state == "wrong":
            return WRONG_IMAGE
        return NO_IMAGE if state == "missing" and not complete else None

    def _offered(self, unit: EditUnit) -> tuple[OfferedEdit | None, str]:
        """The edit of another run to take over, and the state of its image: ``right``, or ``unneeded`` where it is
        neither kept nor scored. Else the first one that is offered, whose image is ``missing`` or ``wrong``.
        """
        first: tuple[OfferedEdit | None, str] = (None, "missing")
        if self.editor is None:
            return first
        for edit in self.offers.edits(self.task.edit_identity(unit, self.editor)):
            scored = Counting()
            self._add_offered(unit, edit.row.sha256, scored)
            if not self.keep_images and self._is_complete(unit, scored):
                return edit, "unneeded"
            try:
                state = image_state(edit.image, edit.row.sha256)
            except OSError:  # another run's files need not be readable
                state = "missing"
            if state == "right":
                return edit, state
            first = (edit, state) if first[0] is None else first
        return first

    def _take_over(
        self, unit: EditUnit, sample: SampleTally, edit: OfferedEdit, path: str, *, image_needed: bool
    ) -> None:
        """Take over an edit of another run, with its image and thumbnail."""
        if image_needed:
            take_file(edit.image, path)
        else:
            remove_file(path)  # it is another edit
        if not take_file(edit.thumbnail, self._thumbnail(unit)):
            remove_file(self._thumbnail(unit))  # it shows another edit
        self._take([edit.taken(unit, self.directory.recorded(path))])
        # Scores of the run's own stay with an edit of the same bytes.
        same = sample.edit is not None and sample.edit.sha256 == edit.row.sha256
        counting = self._counting_scores(unit, sample if same else SampleTally(), edit.row.sha256)
        self._reuse(unit, sample, edit.row.sha256, counting)

    def _take_withdrawn(self, unit: EditUnit, edit: OfferedEdit, path: str, reason: str) -> Counting:
        """Take over the results about an edit whose image cannot be had: they count if the edit that is made in its
        place has the same bytes.
        """
        counting = Counting()
        self._add_offered(unit, edit.row.sha256, counting)
        if counting.offered:
            self._taken.append(edit.taken(unit, self.directory.recorded(path)))
            self._take(counting.offered)
            self._taken.append(outdated(unit, "edit", reason))
        return counting

    def _why_outdated(self, unit: EditUnit, planned: PlannedRow | None, identity: str) -> str | None:
        pair = self.task.pairs[unit.key]
        if self.editor is not None and identity == self.task.edit_identity(unit, self.editor):
            return None
        if planned is not None and planned.source_sha256 not in (None, pair.sha256):
            return OTHER_SOURCE
        if planned is not None and planned.instruction not in (None, pair.instruction):
            return OTHER_TEXT
        return None if self.editor is None else OTHER

    def _thumbnail(self, unit: EditUnit) -> str:
        return thumbnail_path(self.directory.path, unit.category, unit.pair_id, unit.sample)

    def _make(self, unit: EditUnit, reason: str) -> None:
        if self.editor is None:
            self._remaining.missing[reason] += 1
            return
        self._edits.append(unit)
        self._remaining.edit_reasons[reason] += 1
        self._remaining.score_reasons[NEW if reason in (NEW, FAILED) else MADE_AGAIN] += len(
            self.task.judging.units(unit)
        )


def from_the_beginning(benchmark: Benchmark, samples_per_pair: int) -> Remaining:
    """All that a new run has to do."""
    edits, sharded = AllEdits(benchmark.pairs, samples_per_pair), benchmark.shard is not None
    return Remaining(edits=edits, rows=(row for item in benchmark.items for row in planned_rows(item, sharded=sharded)))
