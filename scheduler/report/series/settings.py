"""In which settings each run of a series differs from most of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from scheduler.report.series.model import SettingDifference, SettingKind
from scheduler.store.manifest_differences import decisive_facts, short_json
from workers.models.plugins import PluginError
from workers.models.registry import REWARDS

_STUDIED = ("editor.type", "editor.model_name", "editor.step", "editor.fingerprint")
"""What a series compares."""
_OF_THE_RUN: Mapping[str, SettingKind] = {
    "prompts_sha256": "prompts",
    "samples_per_pair": "evaluation",
    "reward_passes": "evaluation",
    "data": "data",
}
JUDGING: frozenset[SettingKind] = frozenset({"protocol", "judge", "prompts"})
"""Where these differ, a score means something else."""


def setting_differences(manifests: Sequence[Mapping[str, Any]]) -> list[tuple[SettingDifference, ...]]:
    """Return for each run the settings in which it differs from most runs; of equally many, the earlier are usual.

    A setting that some runs do not have, such as one of another type of editor, is compared among those that have it.
    """
    runs = [_settings(manifest) for manifest in manifests]
    kinds = {name: kind for settings in runs for name, (kind, _) in settings.items()}
    differences: list[list[SettingDifference]] = [[] for _ in runs]
    for name in sorted(kinds):
        values = [json.dumps(settings[name][1], sort_keys=True) if name in settings else None for settings in runs]
        counts = Counter(value for value in values if value is not None)
        usual = max(counts, key=counts.__getitem__)
        for value, of_run in zip(values, differences, strict=True):
            if value is not None and value != usual:
                of_run.append(SettingDifference(kinds[name], name, *map(short_json, map(json.loads, (value, usual)))))
    return [tuple(of_run) for of_run in differences]


def judged_alike(differences: Sequence[SettingDifference]) -> bool:
    """Whether the scores of a run with these differences mean the same as those of most runs."""
    return not any(difference.kind in JUDGING for difference in differences)


def _settings(manifest: Mapping[str, Any]) -> dict[str, tuple[SettingKind, Any]]:
    try:
        facts = decisive_facts(manifest)
    except (AttributeError, KeyError, TypeError):
        return {}  # the manifest does not have this version's form
    named = {name: value for values in facts.values() for name, value in values.items()}
    reward = str(named.get("reward.type"))
    return {
        name: (kind, value)
        for name, value in named.items()
        if name not in _STUDIED and name != "edits" and (kind := _kind(name, reward)) is not None
    }


def _kind(name: str, reward: str) -> SettingKind | None:
    """What a setting is about; None for one that no score depends on."""
    if name in _OF_THE_RUN:
        return _OF_THE_RUN[name]
    subject, _, rest = name.partition(".")
    if subject == "official":
        return "protocol"
    if rest.startswith("versions."):
        return "versions"
    if subject == "editor":
        return "editor"
    return None if rest.rpartition(".")[2] in _indifferent(reward) else "judge"


@cache
def _indifferent(reward: str) -> frozenset[str]:
    """The keys of a type of reward that no score depends on."""
    try:
        declaration = REWARDS.get(reward)
    except (KeyError, PluginError):
        return frozenset({"batch_size", "threads_per_worker"})
    keys = (key.name for key in declaration.keys if key.affects not in ("load", "run"))
    return frozenset(keys) | {"batch_size", "threads_per_worker"}
