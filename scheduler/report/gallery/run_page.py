"""The gallery of one run: the JSON report, and beside it what only a page has (pictures, links, the scale's ends)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs

from scheduler.report.dimensions import dimension_names
from scheduler.report.figures import chosen_metrics
from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.page_values import page_tree, page_value, text_limit
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.model import Official, Report
from scheduler.report.thumbnails import further_images
from scheduler.store.checked_rows import score_range_of
from scheduler.store.results import PairResult
from scheduler.store.titles import run_title

_MAX_UNMATCHED = 20
_ROUNDING = 1e-9
_NOT_SHOWN = ("source_sha256", "image", "images", "facts", "aspects")
"""Long values of pairs, samples and scores that the page does not read. It has URLs, and aspects are dimensions."""


def render_gallery(report: Report, pictures: Pictures, metrics: Sequence[str], stamp: str) -> bytes:
    """Return the page of a run as UTF-8 HTML. ``metrics`` are the statistics that its table shows beside the mean.

    Raises:
        ValueError: an unknown metric.
    """
    limit = text_limit(_lengths(report.pairs))
    title = run_title(report.provenance, stamp)
    page = {
        "run": page_value(stamp, limit),
        "title": page_value(title, limit),
        "base": pictures.base,
        "range": score_range([report]),
        "dimensions": [[name, dimension_scale(report, name)] for name in dimension_names(report.pairs)],
        "metrics": [metric for metric in chosen_metrics(metrics) if metric not in ("mean", "ci95")],
        "links": [
            ["JSON", quote(f"evaluation_report_{stamp}.json")],
            ["Markdown", quote(f"evaluation_report_{stamp}.md")],
            ["CSV", f"{pictures.base}pairs.csv"],
        ],
        "text_limit": limit,
    }
    return render_page(
        title=f"{title} · {stamp} · warmbench",
        scripts=("run_card", "run_detail", "run_official", "run_sections", "run_statistics", "run_page"),
        data={"page": page, "report": page_report(report, pictures, limit)},
    )


def page_report(report: Report, pictures: Pictures, limit: int) -> dict[str, Any]:
    """The JSON report as the page embeds it, with the URLs of pictures in its pairs and samples."""
    agreement = report.agreement
    if agreement is not None:
        agreement = structs.replace(agreement, unmatched=agreement.unmatched[:_MAX_UNMATCHED])
    head = structs.replace(report, agreement=agreement, official=None, provenance={}, pairs=())
    return {
        **page_value(msgspec.to_builtins(head), limit),
        **({} if report.official is None else {"official": _official(report.official, limit)}),
        "provenance": page_tree(report.provenance),
        # Encoded one by one: as Python's objects all pairs would need ten times the memory.
        "pairs": [msgspec.Raw(msgspec.json.encode(page_pair(pair, pictures, limit))) for pair in report.pairs],
    }


def page_pair(pair: PairResult, pictures: Pictures, limit: int) -> dict[str, Any]:
    """A pair with the URLs of its pictures, where they exist."""
    plain = msgspec.to_builtins(pair)
    for place in (plain, *plain["samples"], *(score for sample in plain["samples"] for score in sample["scores"])):
        for name in _NOT_SHOWN:
            place.pop(name, None)
    plain["source_thumbnail"] = pictures.thumbnail(pair.category, pair.pair_id, None)
    if further := further_images(pair):
        plain["pictures"] = [[name, pictures.thumbnail(pair.category, pair.pair_id, name)] for name in further]
    for sample, plain_sample in zip(pair.samples, plain["samples"], strict=True):
        if sample.image is not None:
            plain_sample["thumbnail"] = pictures.thumbnail(pair.category, pair.pair_id, sample.sample)
            plain_sample["full_size"] = pictures.full(sample.image)
    value: dict[str, Any] = page_value(plain, limit)
    return value


def _official(official: Official, limit: int) -> dict[str, Any]:
    """The official block, its numbers in a list, because the page has no nulls in mappings."""
    value: dict[str, Any] = page_value(msgspec.to_builtins(official), limit)
    value["numbers"] = page_value(
        [[name, number, official.intervals.get(name)] for name, number in official.numbers.items()], limit
    )
    return value


def dimension_scale(report: Report, name: str) -> dict[str, Any]:
    """The ends of a dimension: the protocol's, or those of the scores, of which an aspect is one."""
    known = report.official.dimensions.get(name) if report.official else None
    if known is not None:
        return {"range": [known.low, known.high], "better": known.better}
    return {"range": score_range([report]), "better": "higher"}


def score_range(reports: Sequence[Report]) -> list[float]:
    """The scale's ends: the rewards' score ranges, or whole numbers beyond them where scores are."""
    ends = [end for report in reports for end in score_range_of(report.provenance) or ()]
    for report in reports:
        overall = report.overall
        if overall.min is not None and overall.max is not None:
            ends += [math.floor(overall.min + _ROUNDING), math.ceil(overall.max - _ROUNDING)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 10.0)
    return [float(low), float(high if high > low else low + 1)]


def _lengths(pairs: Sequence[PairResult]) -> Iterator[int]:
    for pair in pairs:
        yield len(pair.instruction or "")
        yield len(pair.description or "")
        yield len(pair.reference or "")
        for sample in pair.samples:
            for score in sample.scores:
                yield len(score.response or "")
            for answer in sample.answers:
                yield len(answer.response)
