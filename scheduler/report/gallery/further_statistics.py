"""What the gallery says beside means and intervals: aspects, the parts of the variance, agreement with people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.report.gallery.shown import shown_name, shown_number
from scheduler.report.model import Agreement, Group, GroupAgreement
from scheduler.statistics.correlations import Correlation
from scheduler.statistics.describe import Description
from scheduler.statistics.variance import Component, Variance

_FIRST_UNMATCHED = 20


def aspects_of(group: Group) -> dict[str, Any] | None:
    """A group's aspects, and the rule that makes one score of them; None where it has none."""
    if not group.aspects:
        return None
    return {
        "combine": group.combine,
        "by_name": {shown_name(name): _described(of) for name, of in group.aspects.items()},
    }


def variance_of(variance: Variance | None) -> dict[str, Any] | None:
    """The parts of the variance that these scores can tell."""
    if variance is None:
        return None
    return {
        "pairs": variance.num_pairs,
        "samples": variance.samples_per_pair,
        "passes": variance.reward_passes,
        "parts": {
            "between_pairs": _component(variance.between_pairs),
            "editing": _component(variance.editing),
            "judging": _component(variance.judging),
        },
        "se_repeat": shown_number(variance.se_repeat),
    }


def agreement_of(agreement: Agreement | None, categories: Mapping[str, int]) -> dict[str, Any] | None:
    """How reward and people agree. ``categories`` are the names of the run's, with their numbers on the page."""
    if agreement is None:
        return None
    raters = agreement.raters
    unmatched = [
        f"{shown_name(row.category)}/{shown_name(row.pair_id)}" + ("" if row.sample is None else f" ({row.sample})")
        for row in agreement.unmatched[:_FIRST_UNMATCHED]
    ]
    return {
        "overall": _agreement(agreement.overall),
        "categories": [{"name": shown_name(name), **_agreement(group)} for name, group in agreement.categories.items()],
        "unmatched": {"count": len(agreement.unmatched), "first": unmatched},
        "blank": agreement.num_blank,
        "unscored": agreement.num_unscored,
        "unrated": agreement.num_unrated,
        "raters": None
        if raters is None
        else {"count": raters.num_raters, "compared": raters.num_compared, "spearman": raters.mean_spearman},
        "disagreements": [
            {
                "category": categories[one.category],
                "id": shown_name(one.pair_id),
                "score": one.score,
                "human": one.human_score,
                "rank": one.rank,
                "human_rank": one.human_rank,
            }
            for one in agreement.disagreements
            if one.category in categories
        ],
    }


def _described(of: Description) -> dict[str, Any]:
    return {"mean": of.mean, "ci95": _pair(of.ci95), "n": of.num_samples}


def _component(component: Component | None) -> dict[str, Any] | None:
    if component is None:
        return None
    below = component.estimate < 0
    return {
        "variance": component.variance,
        "std": component.std,
        "includes": list(component.includes),
        "below_zero": below,
    }


def _agreement(group: GroupAgreement) -> dict[str, Any]:
    return {
        "pairs": group.num_pairs,
        "spearman": _correlation(group.spearman),
        "kendall": _correlation(group.kendall),
        "pearson": shown_number(group.pearson),
    }


def _correlation(correlation: Correlation) -> dict[str, Any]:
    return {"value": shown_number(correlation.value), "ci95": _pair(correlation.ci95)}


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
