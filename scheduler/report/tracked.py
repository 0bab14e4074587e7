"""What trackers get of a run: its numbers, its settings, and some of its pairs with their images."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from scheduler.report.model import Official, Performance, Report
from scheduler.store.checkpoints import recorded_step, recorded_training
from scheduler.store.results import PairResult
from scheduler.store.run_directory import thumbnail_path
from scheduler.store.shard_facts import shard_facts
from scheduler.store.titles import run_title
from scheduler.trackers.declaration import TrackedPair, TrackedRun, Value
from scheduler.trackers.sending import Sending

_FILES = ("config.yaml", "manifest.json")
_OF_A_CHECKPOINT = ("model_name", "lora", "transformer_path")
_MOST_SETTINGS = 500


def to_send(
    trackers: Mapping[str, Mapping[str, Any]], report: Report, run: Path, output_dir: Path
) -> Iterator[Sending]:
    """Return what each tracker gets of the run in this folder, given the values of its keys.

    Nothing if no scores were asked for, or of a shard: its numbers are not those of the benchmark.
    """
    if "score" not in report.stages or shard_facts(report.provenance) is not None:
        return
    for tracker, options in trackers.items():
        yield Sending(
            tracker=tracker,
            options=options,
            timeout_seconds=options["timeout_seconds"],
            run=tracked_run(report, run, output_dir, options),
        )


def tracked_run(report: Report, run: Path, output_dir: Path, options: Mapping[str, Any]) -> TrackedRun:
    """Return what a tracker with these values of its keys gets."""
    manifest = report.provenance
    step, training = recorded_step(manifest), recorded_training(manifest)
    title = run_title(manifest, run.name)
    settings = _settings(manifest, whole=step is None)
    place = run if training is None or step is None else Path(training)
    same = [str(place.absolute()), options["name"], settings]
    return TrackedRun(
        series=hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16],
        name=options["name"] or (title if place == run else place.absolute().name or title),
        run=run.name,
        title=title,
        step=step,
        prefix=options["prefix"],
        numbers=dict(_numbers(report)),
        settings=settings,
        files={name: str(run.absolute() / name) for name in _FILES if (run / name).is_file()},
        pairs=tuple(islice(_pairs(report, run.absolute()), options["images"])),
        folder=str(output_dir.absolute()),
    )


def _numbers(report: Report) -> Iterator[tuple[str, float]]:
    """The numbers that exist."""
    overall = report.overall
    low, high = overall.ci95 or (None, None)
    named: list[tuple[str, float | None]] = [
        ("score", overall.mean),
        ("score_ci95_low", low),
        ("score_ci95_high", high),
        ("score_std", overall.std),
        ("score_macro_mean", overall.macro_mean),
        ("pairs", overall.num_pairs),
        ("pairs_scored", overall.num_samples),
        ("pairs_failed", overall.num_failed),
        ("pairs_missing", overall.num_missing),
    ]
    named += [(f"category/{name}", group.mean) for name, group in report.category_statistics.items()]
    named += [(f"dimension/{name}", statistics.mean) for name, statistics in overall.dimensions.items()]
    if report.official is not None:
        named += _official(report.official)
    named += _performance(report.performance)
    for name, value in named:
        if value is not None and math.isfinite(value):
            yield name, float(value)


def _official(official: Official) -> Iterator[tuple[str, float | None]]:
    for name, value in official.numbers.items():
        yield f"official/{name}", value
        if name in official.intervals:
            low, high = official.intervals[name]
            yield f"official/{name}_ci95_low", low
            yield f"official/{name}_ci95_high", high
    yield "official_comparable", float(official.comparable)


def _performance(times: Performance) -> Iterator[tuple[str, float | None]]:
    for name, stage in (("edit", times.edit), ("score", times.score)):
        yield f"performance/{name}_wall_seconds", stage.wall_seconds
        yield f"performance/{name}_device_seconds", stage.device_seconds
        yield f"performance/{name}_efficiency", stage.efficiency
    if times.judge is not None:
        yield "performance/judge_requests", times.judge.requests
        yield "performance/judge_prompt_tokens", times.judge.prompt_tokens
        yield "performance/judge_completion_tokens", times.judge.completion_tokens


def _settings(manifest: Mapping[str, Any], *, whole: bool) -> dict[str, Value]:
    """What decides the results, but for the checkpoint; with ``whole`` the checkpoint, too."""
    editor, official = (_mapping(manifest.get(name)) for name in ("editor", "official"))
    fields = {name: editor.get(name) for name in ("type", "model_name", "load", "parameters", "pipeline")}
    chosen = {
        "data": manifest.get("data"),
        "edits": manifest.get("edits"),
        "protocol": official.get("protocol"),
        "prompts_sha256": manifest.get("prompts_sha256"),
        "samples_per_pair": manifest.get("samples_per_pair"),
        "reward_passes": manifest.get("reward_passes"),
        "editor": fields if whole else _without_checkpoint(fields),
        "reward": manifest.get("reward"),
    }
    return dict(islice(_flat("", chosen), _MOST_SETTINGS))


def _without_checkpoint(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _without_checkpoint(item) for name, item in value.items() if name not in _OF_A_CHECKPOINT}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, list | tuple):
        yield name, json.dumps(value, ensure_ascii=False)
    elif value is not None:
        yield name, value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _pairs(report: Report, run: Path) -> Iterator[TrackedPair]:
    """The pairs that have both thumbnails: the first of each category, then the second of each, and so on."""
    categories: dict[str, list[PairResult]] = {name: [] for name in report.category_statistics}
    for pair in report.pairs:
        categories.setdefault(pair.category, []).append(pair)
    longest = max(map(len, categories.values()), default=0)
    for place in range(longest):
        for pairs in categories.values():
            if place < len(pairs) and (tracked := _tracked_pair(pairs[place], run)) is not None:
                yield tracked


def _tracked_pair(pair: PairResult, run: Path) -> TrackedPair | None:
    try:
        source, edit = (thumbnail_path(run, pair.category, pair.pair_id, of) for of in (None, 0))
    except ValueError:  # names of an impossible row
        return None
    if not (Path(source).is_file() and Path(edit).is_file()):
        return None
    return TrackedPair(
        category=pair.category,
        pair_id=pair.pair_id,
        instruction=pair.instruction or "",
        score=pair.score,
        source=source,
        edit=edit,
    )
