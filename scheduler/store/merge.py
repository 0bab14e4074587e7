"""Whether runs are the shards of one run, and the manifest of that run: decided from manifests and planned rows."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.base.shard import Shard
from scheduler.base.text import counted, one_line
from scheduler.store.manifest_differences import manifest_differences, version_differences
from scheduler.store.rows import PlannedRow, Row, StageRow
from scheduler.store.shard_facts import ShardFacts, shard_facts, shard_note

Key = tuple[str, str]
"""Category and id of a pair."""

_SHOWN = 10


class MergeError(ValueError):
    """The runs cannot be merged. Nothing was written; ``problems`` has one line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        more = [f"and {counted(len(problems) - _SHOWN, 'more problem')}"] if len(problems) > _SHOWN else []
        super().__init__("\n".join(["These runs cannot be merged:", *(f"  {p}" for p in [*problems[:_SHOWN], *more])]))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Part:
    """A run to merge. ``rows`` reads its ledger from the beginning, each time it is called."""

    path: Path
    manifest: Mapping[str, Any]
    rows: Callable[[], Iterator[Row]]

    @property
    def name(self) -> str:
        """The run's folder, for messages."""
        return one_line(self.path, 400)

    @property
    def facts(self) -> ShardFacts | None:
        """Which shard it is; None if it is none."""
        return shard_facts(self.manifest)

    def kept_rows(self) -> Iterator[Row]:
        """The rows of the pairs that the run includes, and those of its stages."""
        left_out = {tuple(key) for key in self.manifest.get("left_out") or ()}
        for row in self.rows():
            if isinstance(row, StageRow) or (row.category, row.pair_id) not in left_out:
                yield row


@dataclass(frozen=True)
class Merge:
    """Runs that can be merged, in the order of their shards. ``planned`` are the pairs in the order of the data."""

    parts: tuple[Part, ...]
    missing: tuple[Shard, ...]
    planned: tuple[PlannedRow, ...]


def plan_merge(parts: Sequence[Part], *, allow_missing: bool = False) -> Merge:
    """Return how to merge the runs; raises ``MergeError`` with every reason against it."""
    if problems := [f"{part.name} is no shard: it was run without --shard" for part in parts if part.facts is None]:
        raise MergeError(problems)
    parts = sorted(parts, key=_shard)
    shards, first = [_shard(part) for part in parts], parts[0]
    names = {shard: [part.name for part in parts if _shard(part) == shard] for shard in shards}
    if len({shard.count for shard in shards}) > 1:
        listed = "; ".join(f"{' and '.join(of_shard)}: shard {shard}" for shard, of_shard in names.items())
        raise MergeError([f"the benchmark was not divided into the same number of shards: {listed}"])
    problems = [f"{' and '.join(same)} are both shard {shard}" for shard, same in names.items() if len(same) > 1]
    count = shards[0].count
    missing = tuple(Shard(number, count) for number in range(1, count + 1) if Shard(number, count) not in names)
    if missing and not allow_missing:
        problems += [f"shard {shard} is missing: name its run, or give --allow-missing" for shard in missing]
    for part in parts[1:]:
        found = differences(first.manifest, part.manifest)
        problems += [f"{part.name} differs from {first.name}: {difference}" for difference in found]
    planned = _planned(parts, problems)
    if problems:
        raise MergeError(problems)
    return Merge(tuple(parts), missing, planned)


def differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what decides results and differs, a line each.

    A fingerprint covers a model with its load parameters: where both are known and equal, the paths and steps of models
    and their load parameters may differ. Versions of packages may, too: the report names them.
    """
    lines = [line.removeprefix("changed: ") for line in manifest_differences(first, other)]
    covered = []
    for role in ("editor", "reward"):
        prints = [_fingerprints(manifest, role) for manifest in (first, other)]
        if all(prints) and prints[0] == prints[1]:
            covered += [f"{role}.model_name ", f"{role}.step ", f"{role}.load."]
    lines = [line for line in lines if ".versions." not in line and not line.startswith(tuple(covered))]
    stages = [", ".join(map(str, manifest.get("stages") or ())) for manifest in (first, other)]
    return lines + ([f"stages {stages[0]} -> {stages[1]}"] if stages[0] != stages[1] else [])


def _fingerprints(manifest: Mapping[str, Any], role: str) -> set[str]:
    return {worker["fingerprint"] for worker in manifest.get("workers") or () if worker["role"] == role}


def _planned(parts: Sequence[Part], problems: list[str]) -> tuple[PlannedRow, ...]:
    """Return the pairs in the order of the data; add to the problems what speaks against it."""
    owners: dict[Key, Part] = {}
    rows: dict[Key, PlannedRow] = {}
    for part in parts:
        own: dict[Key, PlannedRow] = {}
        for row in part.kept_rows():
            if isinstance(row, PlannedRow):
                own[row.category, row.pair_id] = row
        shared = [key for key in own if key in owners]
        if shared:
            pairs, example = counted(len(shared), "pair"), one_line("/".join(shared[0]), 200)
            problems.append(f"{part.name} has {pairs} of {owners[shared[0]].name}, such as {example}")
        expected = part.facts.pairs if part.facts else 0
        if len(own) != expected:
            have = f"{len(own)} of {counted(expected, 'pair')}"
            problems.append(f"the ledger of {part.name} has {have} of its shard: resume that run")
        owners |= dict.fromkeys(own, part)
        rows |= own
    return tuple(sorted(rows.values(), key=lambda row: row.position or 0))


def _shard(part: Part) -> Shard:
    facts = part.facts
    if facts is None:
        raise ValueError(f"{part.name} is no shard")
    return facts.shard


def merged_manifest(merge: Merge, run: str, process: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of the merged run, which has those of its shards; ``process`` has the facts of this one."""
    manifests = [part.manifest for part in merge.parts]
    shards = [_shard(part) for part in merge.parts]
    first = {name: value for name, value in manifests[0].items() if name not in ("earlier_parts", "left_out")}
    workers = [worker for manifest in manifests for worker in manifest.get("workers") or ()]
    notes = dict.fromkeys(note for manifest in manifests for note in manifest.get("notes") or ())
    for shard in shards:
        notes.pop(shard_note(shard), None)
    missing = ", ".join(map(str, merge.missing))
    if missing:
        notes = {f"This is not the whole benchmark: {missing} of its shards are missing.": None, **notes}
    reused = {run: other for manifest in manifests for run, other in (manifest.get("reused_from") or {}).items()}
    official, edits = first.get("official"), first.get("edits")
    devices = Counter(name for manifest in manifests for name in manifest.get("devices") or {})
    return {
        **first,
        **process,
        "run": run,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "shard": None,
        "edits": edits and {**edits, "images": sum((each.get("edits") or {}).get("images", 0) for each in manifests)},
        "combine": {name: rule for manifest in manifests for name, rule in (manifest.get("combine") or {}).items()},
        "official": official and {**official, "shard": ", ".join(map(str, shards)) if missing else None},
        "devices": {
            name: [device for manifest in manifests for device in (manifest.get("devices") or {}).get(name, ())]
            for name in devices
        },
        "notes": list(notes),
        "workers": workers,
        "version_differences": version_differences(process.get("environment") or {}, workers),
        **({"reused_from": reused} if reused else {}),
        "shards": manifests,
    }
