"""A record of Every Eval Ever (https://github.com/evaleval/every_eval_ever), by version 0.3.0 of its schema."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from protocol import VERSION
from scheduler.report.interchange.facts import (
    Facts,
    ResultsFile,
    UnsuitableRunError,
    hub_name,
    judge_name,
    mapping,
    refuse_unsuitable,
    started_iso,
)
from scheduler.report.json_form import plain
from scheduler.report.model import Report
from scheduler.statistics.describe import Interval, ScoreStatistics
from scheduler.store.checkpoints import recorded_step
from scheduler.store.run_names import started_at

_SCHEMA_VERSION = "0.3.0"
_NOT_DEPLOYED_HERE = {"http": "externally_managed"}
Json = dict[str, Any]


def every_eval_ever(report: Report, facts: Facts) -> ResultsFile:
    """Return the record of a run: the mean score of all pairs, of each category and of each dimension, and the official
    numbers if they are comparable with published ones.

    Raises:
        UnsuitableRunError: the run is not complete, or the model or the organization is not named.
    """
    manifest = report.provenance
    model = hub_name(facts.model or _model_on_hub(manifest), "--model", "the model, or what it may be called")
    if not facts.organization:
        raise UnsuitableRunError("--organization is missing: who has made this evaluation")
    refuse_unsuitable(report)
    benchmark = _benchmark(report)
    seconds = f"{time.time():.0f}"
    record = {
        "schema_version": _SCHEMA_VERSION,
        "evaluation_id": f"{benchmark}/{model.replace('/', '_')}/{seconds}",
        **({"evaluation_timestamp": started} if (started := started_iso(report)) else {}),
        "retrieved_timestamp": seconds,
        "source_metadata": {
            "source_name": "warmbench",
            "source_type": "evaluation_run",
            "source_organization_name": facts.organization,
            "evaluator_relationship": facts.relationship,
            **({"additional_details": {"notes": "; ".join(report.notes)}} if report.notes else {}),
        },
        "eval_library": {
            "name": "warmbench",
            "version": str(manifest.get("version") or VERSION),
            "additional_details": _texts({"run": manifest.get("run"), "git_commit": manifest.get("git_commit")}),
        },
        "model_info": _model_info(model, mapping(manifest.get("editor"))),
        "evaluation_results": list(_Results(report, facts, benchmark).all()),
    }
    owner, name = model.split("/")
    # The same run has the same name; the schema wants one of a random UUID.
    digest = hashlib.sha256(f"{manifest.get('run')} {started_at(manifest)} {model} {benchmark}".encode()).digest()
    place = Path("data", benchmark, owner, name, f"{uuid.UUID(bytes=digest[:16], version=4)}.json")
    text = json.dumps(plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    return ResultsFile(place, text.encode(), tuple(_notes(report)))


def _model_on_hub(manifest: Mapping[str, Any]) -> str | None:
    """What the run calls its model, unless that is a folder, such as a checkpoint of a training."""
    name = mapping(manifest.get("editor")).get("model_name")
    is_folder = recorded_step(manifest) is not None or (isinstance(name, str) and Path(name).exists())
    return name if isinstance(name, str) and not is_folder else None


def _benchmark(report: Report) -> str:
    """The protocol, else the name of the data, as a part of a path."""
    data = mapping(report.provenance.get("data")).get("path")
    name = report.official.protocol if report.official is not None else Path(str(data or "")).stem
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(".") or "unknown"


def _model_info(model: str, editor: Mapping[str, Any]) -> Json:
    details = _texts({"type": editor.get("type"), "checkpoint": editor.get("model_name")})
    details |= _texts({f"parameters.{name}": value for name, value in mapping(editor.get("parameters")).items()})
    deployment = _NOT_DEPLOYED_HERE.get(str(editor.get("type")), "self_deployed") if editor else "unknown"
    return {
        "name": model.split("/")[1],
        "id": model,
        "developer": model.split("/", maxsplit=1)[0],
        "additional_details": {"deployment_type": deployment, "model_availability": "unknown", **details},
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values that exist, as the schema wants them."""
    return {
        name: value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }


class _Results:
    """The entries of one run."""

    def __init__(self, report: Report, facts: Facts, benchmark: str) -> None:
        self._report = report
        self._benchmark = benchmark
        reward = mapping(report.provenance.get("reward"))
        scale = mapping(reward.get("parameters")).get("score_range")
        self._scale = (scale[0], scale[1]) if isinstance(scale, list | tuple) and len(scale) == 2 else None
        self._source = self._source_data(facts)
        self._judge = self._llm_scoring(facts, reward)

    def all(self) -> Iterator[Json]:
        overall, official = self._report.overall, self._report.official
        yield self._of_scores("score", "Mean score", overall)
        for name, group in self._report.category_statistics.items():
            if len(self._report.category_statistics) > 1:
                yield self._of_scores(f"category.{name}", f"Mean score of {name}", group)
        for name, statistics in overall.dimensions.items():
            scale = official.dimensions.get(name) if official is not None else None
            ends = (scale.low, scale.high) if scale is not None else self._scale
            lower = scale is not None and scale.better == "lower"
            if statistics.mean is not None:
                yield self._of_scores(f"dimension.{name}", f"Mean of {name}", statistics, ends=ends, lower=lower)
        if official is None or not official.comparable:
            return
        descending = {name.casefold() for name, scale in official.dimensions.items() if scale.better == "lower"}
        for name, value in official.numbers.items():
            if value is not None:
                interval = official.intervals.get(name)
                metric = self._metric(f"{official.protocol}.{name}", name, None, lower=name.casefold() in descending)
                yield self._entry(metric, value, self._uncertainty(interval, "bootstrap over items"))

    def _of_scores(
        self,
        name: str,
        title: str,
        statistics: ScoreStatistics,
        *,
        ends: tuple[float, float] | None = None,
        lower: bool = False,
    ) -> Json:
        uncertainty = self._uncertainty(statistics.ci95, "Student's t over pairs") | {
            "num_samples": statistics.num_samples,
            **({} if statistics.std is None else {"standard_deviation": statistics.std}),
        }
        metric = self._metric(f"warmbench.{name}", title, ends or self._scale, lower=lower)
        return self._entry(metric, statistics.mean, uncertainty)

    def _metric(self, metric_id: str, name: str, ends: tuple[float, float] | None, *, lower: bool = False) -> Json:
        return {
            "metric_id": metric_id,
            "metric_name": name,
            "metric_unit": "points",
            "lower_is_better": lower,
            **({} if ends is None else {"score_type": "continuous", "min_score": ends[0], "max_score": ends[1]}),
            "llm_scoring": self._judge,
        }

    def _entry(self, metric: Json, score: float | None, uncertainty: Json) -> Json:
        details = {"score": score, **({"uncertainty": uncertainty} if uncertainty else {})}
        return {
            "evaluation_result_id": metric["metric_id"],
            "evaluation_name": self._benchmark,
            "source_data": self._source,
            "metric_config": metric,
            "score_details": details,
        }

    @staticmethod
    def _uncertainty(interval: Interval | None, method: str) -> Json:
        if interval is None:
            return {}
        low, high = interval
        return {"confidence_interval": {"lower": low, "upper": high, "confidence_level": 0.95, "method": method}}

    def _source_data(self, facts: Facts) -> Json:
        data = mapping(self._report.provenance.get("data"))
        named = {"dataset_name": self._benchmark}
        details = _texts({"format": data.get("format"), "sha256": data.get("sha256")})
        if facts.dataset is None:
            return {**named, "source_type": "other", "additional_details": details}
        repository = hub_name(facts.dataset, "--dataset", "the data set")
        count = self._report.overall.num_pairs
        return {
            **named,
            "source_type": "hf_dataset",
            "hf_repo": repository,
            "samples_number": count,
            "additional_details": details,
        }

    def _llm_scoring(self, facts: Facts, reward: Mapping[str, Any]) -> Json:
        name, official = judge_name(self._report), self._report.official
        info = {
            "name": name,
            "id": name,
            "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"},
        }
        details = _texts(dict(mapping(reward.get("parameters"))))
        prompt = facts.prompts or "not recorded"
        if official is not None:
            files = ", ".join(official.files)
            prompt = f"the prompts of {official.protocol}, version {official.version}, in its authors' files: {files}"
        judges = [{"model_info": info, **({"additional_details": details} if details else {})}]
        return {"judges": judges, "input_prompt": prompt}


def _notes(report: Report) -> Iterator[str]:
    official = report.official
    if official is not None and not official.comparable:
        reasons = "; ".join(official.deviations)
        yield f"The official numbers are left out: they are not comparable with published ones: {reasons}"
