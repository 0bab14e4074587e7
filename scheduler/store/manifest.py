"""Provenance: all that one needs to know to trust a report, or to make it again."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from scheduler.base.stages import BOTH_STAGES, ROLES, Stage
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.config import Config
from scheduler.config.layout import Layout
from scheduler.config.requests import edit_parameters, editor_spec, reward_spec, score_parameters

NOTE_FILE = ".warmbench-note.txt"
"""A model's folder may say in this file what a reader of its scores has to know."""

_PACKAGES = ("warmbench", "pyzmq", "msgpack", "msgspec", "pillow", "pydantic", "numpy", "scipy")


def build_manifest(
    config: Config,
    benchmark: Benchmark,
    layout: Layout,
    stamp: str,
    *,
    stages: Sequence[Stage] = BOTH_STAGES,
    edits: EditsElsewhere | None = None,
) -> dict[str, Any]:
    """What is known before the workers are: the rest comes with ``add_workers``. A role without a stage is null.

    ``edits`` are those that were made elsewhere.
    """
    models: dict[Stage, dict[str, Any]] = {
        "edit": {**_model(editor_spec(config)), "parameters": edit_parameters(config)},
        "score": {**_model(reward_spec(config)), "parameters": score_parameters(config)},
    }
    elsewhere = None if edits is None else {"made": "elsewhere", "from": edits.place, "images": len(edits.images)}
    return {
        "run": stamp,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "version": VERSION,
        "protocol_version": PROTOCOL_VERSION,
        "git_commit": _git_commit(),
        "host": platform.node(),
        "environment": {"python": platform.python_version(), **_versions()},
        "config_file": str(config.path),
        "stages": list(stages),
        "edits": elsewhere,
        "data": {"path": benchmark.path, "format": benchmark.format, "sha256": benchmark.sha256},
        "prompts_sha256": _hash(config.prompts.as_plain()),
        "combine": _rules_for_aspects(config, benchmark),
        **{ROLES[stage]: model if stage in stages else None for stage, model in models.items()},
        "optimizations": _optimizations(config) if "edit" in stages else {"exact": {}, "approximate": {}},
        "devices": {"editors": list(layout.editors), "rewards": list(layout.rewards)},
        "residency": layout.residency,
        "round_size": config.scheduler.round_size,
        "samples_per_pair": config.evaluation.samples_per_pair,
        "reward_passes": config.evaluation.reward_passes,
        "notes": notes(config, stages, edits),
        "workers": [],
        "version_differences": {},
    }


def notes(config: Config, stages: Collection[Stage] = BOTH_STAGES, edits: EditsElsewhere | None = None) -> list[str]:
    """What a reader of the report has to know first."""
    found = []
    if edits is not None:
        found.append(f"The edits were made elsewhere: they are the images of {edits.place}.")
    for stage, spec in (("edit", editor_spec(config)), ("score", reward_spec(config))):
        if stage not in stages:
            continue
        role = spec.role
        if spec.type == "simulated":
            found.append(f"The {role} is simulated: it measures the scheduling, and its results carry no meaning.")
        if role == "editor" and spec.type == "identity":
            found.append(
                "No-edit control: every source image was given back unchanged. These are the scores of no edit at all, "
                "which an editor has to beat."
            )
        if role == "editor" and (changing := _optimizations(config)["approximate"]):
            names = ", ".join(name if value is True else f"{name} {value}" for name, value in changing.items())
            found.append(f"The editor ran with approximate optimizations, which change its edits: {names}.")
        note = Path(spec.name) / NOTE_FILE if spec.name else None
        if note is not None and note.is_file():
            found.append(f"The {role}: {note.read_text(encoding='utf-8', errors='replace').strip()[:1000]}")
    return found


def add_workers(manifest: dict[str, Any], workers: Sequence[m.WorkerStatus]) -> None:
    """Record who worked: devices, what was loaded, with which versions, and which of those are not the same for all."""
    manifest["workers"] = [
        {
            "worker_id": worker.worker_id,
            "role": worker.role,
            "device": worker.device,
            "fingerprint": worker.state.model.fingerprint,
            "size_bytes": worker.state.model.size_bytes,
            "load_seconds": worker.state.model.load_seconds,
            "versions": worker.state.model.versions,
        }
        for worker in workers
        if worker.state is not None and worker.state.model is not None
    ]
    manifest["version_differences"] = version_differences(manifest["environment"], manifest["workers"])


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What decides results and is not in both manifests alike, a line each: ``changed: editor.parameters.seed 1 -> 2``.

    Versions are told where results could differ by them: those of the workers.
    """
    lines = []
    first, second = _facts(before), _facts(now)
    # What is known in one of them alone (a role that had nothing to do) says nothing of whether it has changed.
    for about in first.keys() & second.keys():
        old, new = first[about], second[about]
        names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
        lines += [f"changed: {name} {_short(old.get(name))} -> {_short(new.get(name))}" for name in names]
    return sorted(lines)


def _facts(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Facts by what they are about."""
    names = ("prompts_sha256", "samples_per_pair", "reward_passes")
    found: dict[str, dict[str, Any]] = {"run": {name: manifest.get(name) for name in names}}
    found["run"]["data"] = (manifest.get("data") or {}).get("sha256")
    found["run"]["edits"] = (manifest.get("edits") or {}).get("from")
    for role in ("editor", "reward"):
        for name, value in (manifest.get(role) or {}).items():
            facts = found.setdefault(role, {})
            if isinstance(value, dict):
                facts |= {f"{role}.{name}.{key}": one for key, one in value.items()}
            else:
                facts[f"{role}.{name}"] = value
    for worker in manifest.get("workers") or ():
        role = worker["role"]
        facts = found.setdefault(f"{role} as loaded", {})
        facts[f"{role}.fingerprint"] = worker["fingerprint"]
        facts |= {f"{role}.versions.{package}": version for package, version in worker["versions"].items()}
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def version_differences(
    scheduler: Mapping[str, str], workers: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """The packages that a worker has in another version than another, or than the scheduler; Python counts as one.

    Gives package to role (or ``scheduler``) to version; several within a role are joined with commas.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for side, versions in [("scheduler", scheduler), *((worker["role"], worker["versions"]) for worker in workers)]:
        for package, version in versions.items():
            found.setdefault(package, {}).setdefault(side, set()).add(version)
    return {
        package: {side: ", ".join(sorted(versions)) for side, versions in sides.items()}
        for package, sides in sorted(found.items())
        if len(set().union(*sides.values())) > 1
    }


def _model(spec: m.ModelSpec) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(spec)
    return {"type": plain["type"] or plain["class_path"], "model_name": plain["name"], "load": plain["params"]}


def _rules_for_aspects(config: Config, benchmark: Benchmark) -> dict[str, str]:
    """How the aspects of each category that has some make one score."""
    rules = {category: config.prompts.for_category(category) for category in benchmark.categories}
    return {category: rule.combine for category, rule in rules.items() if any(one.aspect for one in rule.templates)}


def _optimizations(config: Config) -> dict[str, dict[str, Any]]:
    """Those that the editor was asked for; one without weights is asked for none."""
    section = config.diffusion_model
    return section.params.optimizations.by_exactness() if section.holds_gpu else {"exact": {}, "approximate": {}}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git_commit() -> str | None:
    """The commit of warmbench's own checkout, with ``+`` if files were changed since; null outside of one."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 - whichever git the user has
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout.strip()


def _hash(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
