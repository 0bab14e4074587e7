"""What the gallery of one run shows, as plain data: the head once, and a map for each pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from scheduler.report.figures import chosen_metrics
from scheduler.report.gallery.further_statistics import agreement_of, aspects_of, variance_of
from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.shown import shown_name, shown_number, shown_text, shown_tree, text_limit
from scheduler.report.model import Group, Performance, Report
from scheduler.store.results import Failure, PairResult, SampleResult, ScoreResult

_LONGEST_NOTE = 2_000


def render_gallery(report: Report, pictures: Pictures, metrics: Sequence[str], stamp: str) -> bytes:
    """Return the page of a run as UTF-8 HTML. ``metrics`` are the statistics that its table shows beside the mean.

    Raises:
        ValueError: an unknown metric.
    """
    limit = text_limit(_lengths(report.pairs))
    return render_page(
        title=f"{stamp} · warmbench",
        scripts=("run_card.js", "run_detail.js", "run_sections.js", "run_statistics.js", "run_page.js"),
        head=gallery_head(report, pictures, metrics, stamp) | {"text_limit": limit},
        items=gallery_items(report, pictures, limit),
    )


def gallery_head(report: Report, pictures: Pictures, metrics: Sequence[str], stamp: str) -> dict[str, Any]:
    """All that is said once."""
    provenance = report.provenance
    return {
        "run": shown_name(stamp),
        "base": pictures.base,
        "status": report.status,
        "notes": [shown_text(note, _LONGEST_NOTE) for note in report.notes],
        "models": {role: model_of(provenance, role) for role in ("editor", "reward")},
        "started": _name_or_none(provenance.get("started")),
        "data": _name_or_none(_inside(provenance, "data").get("path")),
        "asked": {
            "samples": report.samples_per_pair,
            "passes": report.reward_passes,
            "stages": list(report.stages),
        },
        "range": score_range([report]),
        "metrics": [metric for metric in chosen_metrics(metrics) if metric not in ("mean", "ci95")],
        "overall": _group(report.overall),
        "macro_mean": shown_number(report.overall.macro_mean),
        "categories": [
            {"name": shown_name(name), **_group(group)} for name, group in report.category_statistics.items()
        ],
        "variance": variance_of(report.variance),
        "agreement": agreement_of(report.agreement, {name: n for n, name in enumerate(report.category_statistics)}),
        "methods": dict(report.scoring_methods),
        "performance": _performance(report.performance),
        "provenance": shown_tree(provenance),
        "links": [
            ["JSON", quote(f"evaluation_report_{stamp}.json")],
            ["Markdown", quote(f"evaluation_report_{stamp}.md")],
            ["CSV", f"{pictures.base}pairs.csv"],
        ],
    }


def gallery_items(report: Report, pictures: Pictures, limit: int) -> Iterator[dict[str, Any]]:
    """Yield each pair with its pictures; what is null is left out."""
    failures: dict[tuple[str, str], list[Failure]] = {}
    for failure in report.failures:
        failures.setdefault((failure.category, failure.pair_id), []).append(failure)
    numbers = {name: number for number, name in enumerate(report.category_statistics)}
    for pair in report.pairs:
        found = failures.get((pair.category, pair.pair_id), ())
        yield _without_null(
            {
                "category": numbers[pair.category],
                "id": shown_name(pair.pair_id),
                "status": pair.status,
                "score": shown_number(pair.score),
                "instruction": shown_text(pair.instruction, limit),
                "description": shown_text(pair.description, limit),
                "source": pictures.source(pair.category, pair.pair_id),
                "samples": [sample_item(pair, sample, pictures, limit) for sample in pair.samples],
                "failures": [_failure(failure, limit) for failure in found] or None,
            }
        )


def sample_item(pair: PairResult, sample: SampleResult, pictures: Pictures, limit: int) -> dict[str, Any]:
    """One edit of a pair and its scores."""
    about: dict[str, Any] = {"sample": sample.sample, "score": shown_number(sample.score)}
    if sample.image is not None and sample.size is not None:
        about |= {
            "thumbnail": pictures.edit(pair.category, pair.pair_id, sample.sample),
            "full": pictures.full(sample.image),
            "size": list(sample.size),
            "seed": None if sample.seed is None else str(sample.seed),  # it may have more digits than a number there
            "seconds": shown_number(sample.edit_device_seconds),
            "worker": _name_or_none(sample.worker),
            "device": _name_or_none(sample.device),
            "round": sample.round,
            "sha256": shown_name(sample.sha256),
        }
    about["scores"] = [_score(score, limit) for score in sample.scores] or None
    return _without_null(about)


def model_of(provenance: Mapping[str, Any], role: str) -> dict[str, str] | None:
    """Type and name of the model in this role; None if the manifest does not have it."""
    section = _inside(provenance, role)
    known = {key: shown_name(section[key]) for key in ("type", "model_name") if section.get(key)}
    return known or None


def score_range(reports: Sequence[Report]) -> list[float]:
    """The scale's ends: what the rewards were asked for, wide enough for every score that there is."""
    ends = [end for report in reports for end in _asked_range(report.provenance)]
    for report in reports:
        statistics = report.overall
        if statistics.min is not None and statistics.max is not None:
            ends += [math.floor(statistics.min), math.ceil(statistics.max)] if not ends else []
            ends += [statistics.min, statistics.max]
    low, high = (min(ends), max(ends)) if ends else (0.0, 10.0)
    return [float(low), float(high if high > low else low + 1)]


def _asked_range(provenance: Mapping[str, Any]) -> list[float]:
    asked = _inside(_inside(provenance, "reward"), "parameters").get("score_range")
    if not isinstance(asked, list | tuple) or len(asked) != 2:
        return []
    ends = [float(end) for end in asked if isinstance(end, int | float) and math.isfinite(end)]
    return ends if len(ends) == 2 else []


def _score(score: ScoreResult, limit: int) -> dict[str, Any]:
    aspects = score.aspects
    return _without_null(
        {
            "pass": score.pass_,
            "score": shown_number(score.score),
            "aspects": {shown_name(name): shown_number(value) for name, value in aspects.items()} if aspects else None,
            "reply": shown_text(score.response, limit),
            "method": shown_name(score.method),
            "worker": _name_or_none(score.worker),
            "batch": score.batch,
            "seconds": shown_number(score.batch_device_seconds),
        }
    )


def _failure(failure: Failure, limit: int) -> dict[str, Any]:
    return _without_null(
        {
            "stage": failure.stage,
            "kind": shown_name(failure.kind),
            "message": shown_text(failure.message, limit),
            "sample": failure.sample,
            "pass": failure.pass_,
        }
    )


def _group(group: Group) -> dict[str, Any]:
    of = group
    return {
        "mean": of.mean,
        "std": of.std,
        "median": of.median,
        "min": of.min,
        "max": of.max,
        "ci95": None if of.ci95 is None else list(of.ci95),
        "scored": of.num_samples,
        "pairs": group.num_pairs,
        "edited": group.num_edited,
        "failed": group.num_failed,
        "missing": group.num_missing,
        "aspects": aspects_of(group),
    }


def _performance(performance: Performance) -> dict[str, Any]:
    found = msgspec.to_builtins(performance)
    return {"stages": {stage: found.pop(stage) for stage in ("edit", "score")}, **found}


def _lengths(pairs: Sequence[PairResult]) -> Iterator[int]:
    for pair in pairs:
        yield len(pair.instruction or "")
        yield len(pair.description or "")
        for sample in pair.samples:
            for score in sample.scores:
                yield len(score.response or "")


def _inside(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _name_or_none(value: object) -> str | None:
    return None if value is None else shown_name(value)


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
