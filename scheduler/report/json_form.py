"""The report as JSON: the keys that other programs rely on. Strict JSON, whatever the data holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from scheduler.base.text import encodable
from scheduler.report.model import Agreement, Group, GroupAgreement, Performance, Report
from scheduler.statistics.correlations import Correlation
from scheduler.statistics.describe import Description
from scheduler.statistics.variance import Component, Variance
from scheduler.store.results import Failure, PairResult, SampleResult, ScoreResult


def report_as_json(report: Report) -> bytes:
    """Return the report as UTF-8 JSON, two spaces to a level, with a newline at its end."""
    # The standard encoder takes a pure Python path when it indents: 10 times as long for 100,000 pairs.
    plain = report_as_dict(report)
    try:
        encoded = msgspec.json.encode(plain)
    except UnicodeEncodeError:  # a lone half of a surrogate pair in the data
        encoded = msgspec.json.encode(_plain(plain))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def report_as_dict(report: Report) -> dict[str, Any]:
    """Return the report as dicts, lists, texts and finite numbers, the long list of pairs last."""
    overall = report.overall
    return {
        "status": report.status,
        "stages": list(report.expected.stages),
        "notes": list(report.notes),
        "summary": {
            "total_pairs": overall.num_pairs,
            "categories": len(report.categories),
            "overall_mean": overall.statistics.mean,
            "overall_std": overall.statistics.std,
        },
        "category_statistics": {name: _group(group) for name, group in report.categories.items()},
        "overall": {**_group(overall), "macro_mean": report.macro_mean},
        "variance": None if report.variance is None else _variance(report.variance),
        "agreement": None if report.agreement is None else _agreement(report.agreement),
        "failures": [_failure(failure) for failure in report.failures],
        "performance": performance_as_json(report.performance),
        "provenance": {**_plain(report.provenance), "scoring_methods": dict(report.scoring_methods)},
        "pairs": [_pair(pair) for pair in report.pairs],
    }


def _group(group: Group) -> dict[str, Any]:
    described = _description(group.statistics)
    ci95 = described.pop("ci95")
    return {
        **described,
        "num_pairs": group.num_pairs,
        "num_failed": group.num_failed,
        "num_missing": group.num_missing,
        "num_edited": group.num_edited,
        "ci95": ci95,
        "aspects": {name: _description(of_aspect) for name, of_aspect in group.aspects.items()},
        "combine": group.combine,
    }


def _description(of: Description) -> dict[str, Any]:
    return {
        "mean": of.mean,
        "std": of.std,
        "median": of.median,
        "min": of.min,
        "max": of.max,
        "num_samples": of.num_samples,
        "ci95": None if of.ci95 is None else list(of.ci95),
    }


def _variance(variance: Variance) -> dict[str, Any]:
    return {
        "num_pairs": variance.num_pairs,
        "samples_per_pair": variance.samples_per_pair,
        "reward_passes": variance.reward_passes,
        "between_pairs": _component(variance.between_pairs),
        "editing": _component(variance.editing),
        "judging": _component(variance.judging),
        "se_repeat": variance.se_repeat,
    }


def _component(component: Component | None) -> dict[str, Any] | None:
    if component is None:
        return None
    return {
        "variance": component.variance,
        "std": component.std,
        "estimate": component.estimate,
        "includes": list(component.includes),
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    raters = agreement.raters
    return {
        "num_rows": agreement.num_rows,
        "num_blank": agreement.num_blank,
        "num_unmatched": len(agreement.unmatched),
        "num_unscored": agreement.num_unscored,
        "num_unrated": agreement.num_unrated,
        "overall": _group_agreement(agreement.overall),
        "categories": {name: _group_agreement(group) for name, group in agreement.categories.items()},
        "disagreements": [
            {
                "category": one.category,
                "pair_id": one.pair_id,
                "score": one.score,
                "human_score": one.human_score,
                "rank": one.rank,
                "human_rank": one.human_rank,
                "rank_difference": one.rank_difference,
            }
            for one in agreement.disagreements
        ],
        "raters": None
        if raters is None
        else {
            "num_raters": raters.num_raters,
            "num_compared": raters.num_compared,
            "mean_spearman": raters.mean_spearman,
        },
        "unmatched": [
            {"line": line, "category": category, "pair_id": pair_id, "sample": sample}
            for line, category, pair_id, sample in agreement.unmatched
        ],
    }


def _group_agreement(group: GroupAgreement) -> dict[str, Any]:
    return {
        "num_pairs": group.num_pairs,
        "spearman": _correlation(group.spearman),
        "kendall": _correlation(group.kendall),
        "pearson": group.pearson,
    }


def _correlation(correlation: Correlation) -> dict[str, Any]:
    ci95 = correlation.ci95
    return {"value": correlation.value, "ci95": None if ci95 is None else list(ci95)}


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "category": failure.category,
        "pair_id": failure.pair_id,
        "stage": failure.stage,
        "kind": failure.kind,
        "message": failure.message,
        "sample": failure.sample,
        "pass": failure.pass_,
    }


def _pair(pair: PairResult) -> dict[str, Any]:
    return {
        "category": pair.category,
        "pair_id": pair.pair_id,
        "status": pair.status,
        "score": pair.score,
        "instruction": pair.instruction,
        "description": pair.description,
        "source_sha256": pair.source_sha256,
        "samples": [_sample(sample) for sample in pair.samples],
    }


def _sample(sample: SampleResult) -> dict[str, Any]:
    edit = sample.edit
    return {
        "sample": sample.sample,
        "seed": edit.seed if edit else None,
        "image": edit.image if edit else None,
        "sha256": edit.sha256 if edit else None,
        "size": list(edit.size) if edit else None,
        "worker": edit.worker if edit else None,
        "device": edit.device if edit else None,
        "round": edit.round if edit else None,
        "edit_device_seconds": edit.device_seconds if edit else None,
        "score": sample.score,
        "scores": [_score(score) for score in sample.scores],
    }


def _score(score: ScoreResult) -> dict[str, Any]:
    aspects = score.aspects
    return {
        "pass": score.pass_,
        "score": score.score,
        "aspects": None if aspects is None else {name: _plain(value) for name, value in aspects.items()},
        "response": score.response,
        "method": score.method,
        "worker": score.worker,
        "device": score.device,
        "batch": score.batch,
        "batch_device_seconds": score.device_seconds,
    }


def performance_as_json(performance: Performance) -> dict[str, Any]:
    """How the time went, with the names of the report's schema."""
    stages = {
        name: {
            "wall_seconds": stage.wall_seconds,
            "device_seconds": stage.device_seconds,
            "workers": stage.workers,
            "efficiency": stage.efficiency,
        }
        for name, stage in (("edit", performance.edit), ("score", performance.score))
    }
    return {
        **stages,
        "rounds": performance.rounds,
        "barrier_wait_seconds": performance.barrier_wait_seconds,
        "barrier_loss_in_file_order": performance.barrier_loss_in_file_order,
        "model_switches": performance.model_switches,
        "model_switch_seconds": performance.model_switch_seconds,
    }


def _plain(value: Any) -> Any:
    """Turn anything into what JSON can hold: no NaN, no infinity, no lone surrogates, no numbers beyond 64 bits."""
    if isinstance(value, str):
        return encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {encodable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return encodable(str(value))
