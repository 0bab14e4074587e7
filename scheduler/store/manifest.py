"""``manifest.json``: what decided the results of a run, for readers of its report and for repeating the run."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from protocol import messages as m
from scheduler.base.shard import Shard
from scheduler.base.stages import BOTH_STAGES, ROLES, Stage
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.config.checks.model_lookup import local_folder
from scheduler.config.checks.pipeline_checks import preset_facts
from scheduler.config.document import Config
from scheduler.config.layout import Layout
from scheduler.config.requests import (
    approximate_keys,
    edit_parameters,
    editor_spec,
    optimizations,
    reward_spec,
    score_parameters,
    takes_all_sources,
)
from scheduler.protocols.prepared import PreparedProtocol
from scheduler.store.checkpoints import checkpoint_step
from scheduler.store.manifest_differences import version_differences
from scheduler.store.official_facts import facts_of_run
from scheduler.store.process_facts import process_facts
from scheduler.store.shard_facts import recorded_shard, shard_note

NOTE_FILE = ".warmbench-note.txt"
"""A file in a model's folder with a note for readers of its scores."""

_IDENTIFIED_BY = {
    "content": "the SHA-256 of every file",
    "name": "the SHA-256 of every file; of large files in the hub's cache, that in their name (size checked)",
}


def build_manifest(
    config: Config,
    benchmark: Benchmark,
    layout: Layout,
    stamp: str,
    *,
    stages: Sequence[Stage] = BOTH_STAGES,
    edits: EditsElsewhere | None = None,
    protocol: PreparedProtocol | None = None,
) -> dict[str, Any]:
    """Build the manifest before any worker has joined; ``add_workers`` completes it. A role without a stage is null."""
    models: dict[Stage, dict[str, Any]] = {
        "edit": {
            **_model(editor_spec(config)),
            **_step(editor_spec(config)),
            "parameters": edit_parameters(config) | _further_sources(config),
            **_pipeline(config),
        },
        "score": {**_model(reward_spec(config)), "parameters": score_parameters(config)},
    }
    made_elsewhere = None if edits is None else {"made": "elsewhere", "from": edits.place, "images": len(edits.images)}
    return {
        "run": stamp,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        **process_facts(),
        "config_file": str(config.path),
        "stages": list(stages),
        "edits": made_elsewhere,
        "data": {"path": benchmark.path, "format": benchmark.format, "sha256": benchmark.sha256},
        "shard": recorded_shard(benchmark),
        "prompts_sha256": _hash(config.prompts.as_plain()) if protocol is None else None,
        "combine": _combine_rules(config, benchmark) if protocol is None else {},
        "official": None
        if protocol is None
        else msgspec.to_builtins(facts_of_run(config, benchmark, protocol, made_elsewhere=edits is not None)),
        **{ROLES[stage]: model if stage in stages else None for stage, model in models.items()},
        "optimizations": optimizations(config) if "edit" in stages else {"exact": {}, "approximate": {}},
        "devices": {"editors": list(layout.editors), "rewards": list(layout.rewards)},
        "residency": layout.residency,
        "round_size": config.scheduler.round_size,
        "samples_per_pair": config.evaluation.samples_per_pair,
        "reward_passes": config.evaluation.reward_passes,
        "notes": notes(config, stages, edits, benchmark.shard),
        "workers": [],
        "version_differences": {},
    }


def notes(
    config: Config,
    stages: Collection[Stage] = BOTH_STAGES,
    edits: EditsElsewhere | None = None,
    shard: Shard | None = None,
) -> list[str]:
    """Return the notes at the top of the report."""
    texts = []
    if shard is not None and shard.count > 1:
        texts.append(shard_note(shard))
    if edits is not None:
        texts.append(f"The edits were made elsewhere: they are the images of {edits.place}.")
    for stage, section in (("edit", config.diffusion_model), ("score", config.reward_model)):
        if stage not in stages:
            continue
        role, name = section.declaration.role, section.params.model_name
        if section.declaration.note:
            texts.append(section.declaration.note)
        changing = optimizations(config)["approximate"] if role == "editor" else approximate_keys(section)
        if changing:
            names = ", ".join(name if value is True else f"{name} {value}" for name, value in changing.items())
            changed = "edits" if role == "editor" else "scores"
            texts.append(f"The {role} ran with approximate optimizations, which change its {changed}: {names}.")
        note = Path(local_folder(name)) / NOTE_FILE if name else None
        if note is not None and note.is_file():
            texts.append(f"The {role}: {note.read_text(encoding='utf-8', errors='replace').strip()[:1000]}")
    return texts


def add_workers(
    manifest: dict[str, Any], workers: Sequence[m.WorkerStatus], *, earlier: Sequence[dict[str, Any]] = ()
) -> None:
    """Record the workers, and which library versions differ. ``earlier`` are those of an earlier part of the run."""
    manifest["workers"] = [
        {
            "worker_id": worker.worker_id,
            "role": worker.role,
            "device": worker.device,
            "fingerprint": worker.state.model.fingerprint,
            "weights_identified_by": _IDENTIFIED_BY[worker.state.model.hashed],
            "size_bytes": worker.state.model.size_bytes,
            "load_seconds": worker.state.model.load_seconds,
            "versions": worker.state.model.versions,
        }
        for worker in workers
        if worker.state is not None and worker.state.model is not None
    ] + list(earlier)
    manifest["version_differences"] = version_differences(manifest["environment"], manifest["workers"])


def _further_sources(config: Config) -> dict[str, Any]:
    """``images``, where edits depend on it."""
    return {"images": "all"} if takes_all_sources(config) else {}


def _pipeline(config: Config) -> dict[str, Any]:
    """For an editor on any pipeline of diffusers: its class, and the arguments of every edit with their preset."""
    facts = preset_facts(config.diffusion_model)
    return {} if facts is None else {"pipeline": facts}


def _model(spec: m.ModelSpec) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(spec)
    return {"type": plain["type"] or plain["class_path"], "model_name": plain["name"], "load": plain["params"]}


def _step(spec: m.ModelSpec) -> dict[str, int]:
    """The step of a checkpoint, if it says that: its files may be gone when somebody asks."""
    step = None if spec.name is None else checkpoint_step(spec.name)
    return {} if step is None else {"step": step}


def _combine_rules(config: Config, benchmark: Benchmark) -> dict[str, str]:
    """Return how each category with aspects combines them."""
    rules = {category: config.prompts.for_category(category) for category in benchmark.categories}
    return {
        category: rule.combine
        for category, rule in rules.items()
        if any(template.aspect for template in rule.templates)
    }


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
