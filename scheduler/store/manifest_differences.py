"""What two manifests, or the workers of one, do not have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def manifest_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what decides results and differs, a line each: ``changed: editor.parameters.seed 1 -> 2``."""
    lines = []
    first, second = decisive_facts(before), decisive_facts(now)
    # A role that had nothing to do is in one of them alone, which is no change.
    for subject in first.keys() & second.keys():
        old, new = first[subject], second[subject]
        names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
        lines += [f"changed: {name} {short_json(old.get(name))} -> {short_json(new.get(name))}" for name in names]
    return sorted(lines)


def decisive_facts(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what decides results, by subject: ``run``, ``editor``, ``reward``, and each of the two ``as loaded``."""
    names = ("prompts_sha256", "samples_per_pair", "reward_passes")
    subjects: dict[str, dict[str, Any]] = {"run": {name: manifest.get(name) for name in names}}
    subjects["run"]["data"] = (manifest.get("data") or {}).get("sha256")
    official = manifest.get("official") or {}
    subjects["run"] |= {
        f"official.{name}": official.get(name) for name in ("protocol", "version", "language", "subset")
    }
    subjects["run"]["edits"] = (manifest.get("edits") or {}).get("from")
    for role in ("editor", "reward"):
        for name, value in (manifest.get(role) or {}).items():
            facts = subjects.setdefault(role, {})
            if isinstance(value, dict):
                facts |= {f"{role}.{name}.{key}": inner for key, inner in value.items()}
            else:
                facts[f"{role}.{name}"] = value
    # Library versions count where they can change results: those of the workers.
    for worker in manifest.get("workers") or ():
        role = worker["role"]
        facts = subjects.setdefault(f"{role} as loaded", {})
        facts[f"{role}.fingerprint"] = worker["fingerprint"]
        facts |= {f"{role}.versions.{package}": version for package, version in worker["versions"].items()}
    return subjects


def short_json(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def version_differences(
    scheduler: Mapping[str, str], workers: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """Return the packages, Python among them, whose versions are not the same for all workers and the scheduler.

    The mapping is package to role (or ``scheduler``) to version; several within a role are joined with commas.
    """
    packages: dict[str, dict[str, set[str]]] = {}
    for side, versions in [("scheduler", scheduler), *((worker["role"], worker["versions"]) for worker in workers)]:
        for package, version in versions.items():
            packages.setdefault(package, {}).setdefault(side, set()).add(version)
    return {
        package: {side: ", ".join(sorted(versions)) for side, versions in sides.items()}
        for package, sides in sorted(packages.items())
        if len(set().union(*sides.values())) > 1
    }
