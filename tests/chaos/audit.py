"""The proof that a run lost nothing, did nothing twice and mixed nothing up: from its data, ledger, images and report.

It knows the product's files and formats, and the simulated models, but shares none of the code that makes reports: what
stands in the ledger is worked out anew here (``tests.chaos.standing``), and the report has to say the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from tests.chaos.audit_report import check_report
from tests.chaos.dataset import Item, inverted
from tests.chaos.finding import Finding
from tests.chaos.standing import OUTDATED, Standing, Unit, stand
from workers.models.simulation import Simulation

Stage = Literal["load", "edit", "score"]


@dataclass(frozen=True)
class Case:
    """What was asked of a run, and what was done to its files.

    ``editor`` and ``reward`` are the parameters of simulated models, None for real ones. ``tampered`` tells, for each
    edit whose image or row was spoilt between parts, how many lines the ledger had at each of those times.
    ``spare_poison`` is how many innocent pairs may have been given up, because their workers were killed on purpose.
    """

    items: tuple[Item, ...]
    samples: int = 1
    passes: int = 1
    seed: int = 0
    editor: Simulation | None = field(default_factory=Simulation)
    reward: Simulation | None = field(default_factory=Simulation)
    keep_images: bool = True
    reconfigured: bool = False
    tampered: Mapping[Unit, tuple[int, ...]] = field(default_factory=dict)
    spare_poison: int = 0


@dataclass(frozen=True)
class Expected:
    """How a unit is to end: with a score (``kind`` None), or with a failure of this kind.

    ``or_poison``: it may be given up as well, because another sample of its pair kills its worker.
    """

    stage: Stage | None = None
    kind: str | None = None
    or_poison: bool = False


def audit(case: Case, run: Path, output: Path, code: int) -> list[Finding]:
    """All findings about a run that ended with this exit code."""
    rows, findings = read_ledger(run / "results.jsonl")
    standing = stand(rows)
    findings += _doubles(case, rows)
    expected = expectations(case)
    findings += _outcomes(case, expected, standing)
    findings += _scores(case, rows)
    findings += _images(case, run, standing)
    findings += _files(case, run, output, standing)
    path = output / f"evaluation_report_{run.name}.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [*findings, Finding("lost", f"no report: {error}")]
    keys = [(item.category, item.pair_id) for item in case.items]
    return findings + check_report(report, keys, standing, code, samples=case.samples, passes=case.passes)


def read_ledger(path: Path) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The rows, and a finding for each line that is none."""
    rows: list[dict[str, Any]] = []
    findings = []
    content = path.read_bytes() if path.exists() else b""
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            row = json.loads(line)
            if not line.endswith(b"\n") or not isinstance(row, dict):
                raise ValueError("torn")
            rows.append(row)
        except ValueError as error:
            findings.append(Finding("lost", f"ledger line {number} is no row: {error}: {line[:80]!r}"))
    return rows, findings


def expectations(case: Case) -> dict[Unit, Expected]:
    """How each unit is to end, from the data and the faults alone."""
    found: dict[Unit, Expected] = {}
    for item in case.items:
        units = [Unit(item.category, item.pair_id, sample) for sample in range(case.samples)]
        if item.bad is not None:
            if item.bad == "broken_pixels":
                found |= dict.fromkeys(units, Expected("load", "bad_image"))
            else:
                # What the scheduler itself finds out fails once, as a whole.
                found[units[0]] = Expected("load", item.bad)
            continue
        edits = {unit: _fault(case.editor, item.key, case.seed + unit.sample) for unit in units}
        deadly = "poison" in edits.values()
        score = _fault(case.reward, item.key, None)
        for unit, fault in edits.items():
            if fault is not None:
                found[unit] = Expected("edit", fault, or_poison=deadly)
            else:
                found[unit] = Expected("score" if score else None, score, or_poison=deadly)
    return found


def _fault(simulation: Simulation | None, key: str, seed: int | None) -> str | None:
    fault = simulation.fault(key, seed) if simulation else None
    return "poison" if fault in ("crash", "hang") else fault


def _doubles(case: Case, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """A result is made once. It may be made again after it was taken back, and that has to have a cause."""
    made: set[tuple[Any, ...]] = set()
    failed_scores: set[Unit] = set()
    for number, row in enumerate(rows, 1):
        if row["event"] in ("edited", "scored"):
            result = (row["event"], Unit.of(row), row.get("pass"), row["identity"])
            if result in made:
                yield Finding("doubled", f"line {number}: {Unit.of(row)}: a second {row['event']} row of one identity")
            made.add(result)
        elif row["event"] == "failed" and row["kind"] == OUTDATED:
            unit, event = Unit.of(row), "edited" if row["stage"] == "edit" else "scored"
            made = {found for found in made if (found[0], found[1]) != (event, unit)}
            # Without kept images, the image of an unscored edit must still be there: another attempt to score needs it.
            no_image = not case.keep_images and unit in failed_scores
            if not (case.reconfigured or unit in case.tampered or no_image):
                yield Finding("doubled", f"line {number}: {unit} is taken back without a cause: {row['message']}")
        elif row["event"] == "failed" and row["stage"] == "score":
            failed_scores.add(Unit.of(row))


def _outcomes(case: Case, expected: Mapping[Unit, Expected], standing: Mapping[Unit, Standing]) -> Iterator[Finding]:
    known = {(unit.category, unit.pair_id) for unit in expected}
    innocent: set[tuple[str, str]] = set()
    for unit in standing:
        if (unit.category, unit.pair_id) not in known:
            yield Finding("mixed_up", f"{unit} is in the ledger and not in the data")
    for unit, wanted in expected.items():
        state = standing.get(unit, Standing())
        found = state.outcome(case.passes)
        if found == (wanted.stage, wanted.kind):
            continue
        if found[1] == "poison" and wanted.kind in (None, "poison"):
            if not wanted.or_poison:
                innocent.add((unit.category, unit.pair_id))
            continue
        if found == (None, "missing"):
            yield Finding("lost", f"{unit} has neither a result nor a failure")
        elif wanted.kind is None:
            yield Finding("lost", f"{unit} failed ({found[0]}, {found[1]}), and nothing was wrong with it")
        else:
            yield Finding("miscounted", f"{unit} ended with {found}, expected {wanted.stage}, {wanted.kind}")
    if len(innocent) > case.spare_poison:
        names = ", ".join("/".join(key) for key in sorted(innocent))
        yield Finding("lost", f"given up as poison, {case.spare_poison} at most explained by kills: {names}")


def _scores(case: Case, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Each score follows its edit and belongs to the image of that edit."""
    edits: dict[Unit, str] = {}
    for number, row in enumerate(rows, 1):
        if row["event"] == "edited":
            edits[Unit.of(row)] = row["sha256"]
        elif row["event"] == "scored":
            sha256 = edits.get(Unit.of(row))
            if sha256 is None:
                yield Finding("mixed_up", f"line {number}: {Unit.of(row)} is scored before it is edited")
            elif case.reward is not None and row["score"] != case.reward.score(sha256):
                right = case.reward.score(sha256)
                yield Finding("mixed_up", f"line {number}: {Unit.of(row)} has score {row['score']}, its image {right}")


def _images(case: Case, run: Path, standing: Mapping[Unit, Standing]) -> Iterator[Finding]:
    """Each image is that of its pair: by what the ledger says of it, and by what lies on the disk."""
    sources = {(item.category, item.pair_id): item for item in case.items}
    for unit, state in standing.items():
        item = sources.get((unit.category, unit.pair_id))
        if state.edit is None or state.withdrawn or item is None:
            continue
        path = run / state.edit["image"]
        scored = state.is_scored(case.passes)
        if not path.exists():
            # An image that was deleted after its score is not needed any more; a wrong image in its place is a finding.
            missed = not any(state.is_settled_by(lines, case.passes) for lines in case.tampered.get(unit, ()))
            if case.keep_images and missed:
                yield Finding("lost", f"{unit}: its image is gone: {state.edit['image']}")
            continue
        if not case.keep_images and scored:
            yield Finding("left_over", f"{unit} is scored, and its image was to be removed: {state.edit['image']}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != state.edit["sha256"]:
            yield Finding("mixed_up", f"{unit}: the image on the disk is not the one that the ledger has")
        if case.editor is not None and not _shows(content, item):
            yield Finding("mixed_up", f"{unit}: the image on the disk is not the edit of its source")


def _shows(content: bytes, item: Item) -> bool:
    try:
        with Image.open(io.BytesIO(content)) as image:
            wanted = inverted(item.image)
            return image.mode == wanted.mode and image.size == wanted.size and image.tobytes() == wanted.tobytes()
    except OSError:
        return False


_REPORT = re.compile(r"evaluation_report_[0-9_]+\.(json|md|html)\Z")


def _files(case: Case, run: Path, output: Path, standing: Mapping[Unit, Standing]) -> Iterator[Finding]:
    images = {run / state.edit["image"] for state in standing.values() if state.edit is not None}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if path.is_dir():
            continue
        if path.name.endswith(".partial") or (path.name.startswith(".") and path.suffix == ".tmp"):
            yield Finding("left_over", name)
        elif path.is_relative_to(run):
            inside = path.relative_to(run)
            if inside.parts[0].startswith("images") and path not in images and not case.reconfigured:
                yield Finding("left_over", f"an image that no row names: {name}")
        elif not _REPORT.match(name) and not name.startswith(("logs/", "runs/")):
            yield Finding("left_over", f"not a file of a run's: {name}")
