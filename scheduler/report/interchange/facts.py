"""What the formats of published results want to know beside a run's report, and what they have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scheduler.base.text import counted
from scheduler.report.model import Report
from scheduler.store.run_names import started_at

Relationship = Literal["first_party", "third_party", "collaborative", "other"]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class UnsuitableRunError(ValueError):
    """The run's numbers cannot be published in this format; the message says why, and what to do."""


@dataclass(frozen=True)
class Facts:
    """What the user says: names on the hub as OWNER/NAME, and who publishes. ``prompts`` are those of the run's config
    as text, if it has any.
    """

    model: str | None = None
    dataset: str | None = None
    task: str | None = None
    organization: str | None = None
    relationship: Relationship = "other"
    source_url: str | None = None
    prompts: str | None = None


@dataclass(frozen=True)
class ResultsFile:
    """A file to write, by its path in the folder that the user names. ``notes`` are for the user."""

    path: Path
    content: bytes
    notes: tuple[str, ...] = ()


def hub_name(text: str | None, option: str, meaning: str) -> str:
    """Return the name if it is OWNER/NAME; raises ``UnsuitableRunError``."""
    if text is None or not _HUB_NAME.fullmatch(text):
        found = "" if text is None else f", found {text!r}"
        raise UnsuitableRunError(f"{option} must be {meaning} on the hub, as OWNER/NAME{found}")
    return text


def refuse_unsuitable(report: Report) -> None:
    """Raise ``UnsuitableRunError`` unless every pair of the run has its score, by a model that is not simulated."""
    for role in ("editor", "reward"):
        if mapping(report.provenance.get(role)).get("type") == "simulated":
            raise UnsuitableRunError(f"the {role} was simulated: its results mean nothing to others")
    overall = report.overall
    if report.status != "COMPLETE" or overall.num_samples < overall.num_pairs:
        missing = overall.num_pairs - overall.num_samples
        message = f"{missing} of {counted(overall.num_pairs, 'pair')} without a score: only complete runs are published"
        raise UnsuitableRunError(f"{message}; `--resume` goes on with what can still be done")


def started_iso(report: Report) -> str | None:
    """When the run began, in UTC; None if that is unknown."""
    started = started_at(report.provenance)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)) if started else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def judge_name(report: Report) -> str:
    """What scored: the model, else the type."""
    reward = mapping(report.provenance.get("reward"))
    return str(reward.get("model_name") or reward.get("type") or "unknown")
