"""A comparison as a page: the edits of two or more runs side by side, those on which they disagree most first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scheduler.report.compare.comparison import Comparison, GroupComparison, Key
from scheduler.report.compare.result import Against, Compared, Result
from scheduler.report.gallery import Pictures, render_page
from scheduler.report.gallery.data import model_of, score_range
from scheduler.report.gallery.shown import shown_name, shown_number, shown_text, text_limit
from scheduler.store.results import Failure, PairResult

_LONGEST_NOTE = 2_000


def render_comparison(result: Result, output_dir: Path, name: str) -> bytes:
    """Return the page as UTF-8 HTML: ``name`` with ``.html``, in ``output_dir`` beside the comparison's other forms."""
    runs = [_Run.of(one, output_dir) for one in result.runs]
    keys = list(dict.fromkeys(key for run in runs for key in run.pairs))
    categories = {category: number for number, category in enumerate(dict.fromkeys(key.category for key in keys))}
    limit = text_limit(length for run in runs for length in _lengths(run.pairs.values()))
    head = {
        "runs": [run.head() for run in runs],
        "against": [_against(one, number, result.limit) for number, one in enumerate(result.against, start=1)],
        "categories": [
            {"name": shown_name(category), "pairs": sum(key.category == category for key in keys)}
            for category in categories
        ],
        "range": score_range([one.report for one in result.runs]),
        "limit": result.limit,
        "links": [["JSON", quote(f"{name}.json")], ["Markdown", quote(f"{name}.md")]],
        "text_limit": limit,
    }
    return render_page(
        title=f"{' / '.join(one.run.stamp for one in result.runs)} · warmbench",
        scripts=("comparison_card.js", "comparison_sections.js", "comparison_page.js"),
        head=head,
        items=_items(result, runs, keys, categories, limit),
    )


@dataclass(frozen=True)
class _Run:
    """One of the runs, its pairs by name."""

    compared: Compared
    pictures: Pictures
    pairs: Mapping[Key, PairResult]
    failures: Mapping[Key, Failure]
    page: str

    @classmethod
    def of(cls, compared: Compared, output_dir: Path) -> _Run:
        report, run = compared.report, compared.run
        pictures = Pictures(run.path, output_dir)
        return cls(
            compared=compared,
            pictures=pictures,
            pairs={Key(pair.category, pair.pair_id): pair for pair in report.pairs},
            failures={Key(one.category, one.pair_id): one for one in reversed(report.failures)},
            page=pictures.beside(run.output_dir / f"evaluation_report_{run.stamp}.html"),
        )

    def head(self) -> dict[str, Any]:
        report = self.compared.report
        return {
            "label": self.compared.label,
            "run": shown_name(self.compared.run.stamp),
            "base": self.pictures.base,
            "page": self.page,
            "status": report.status,
            "running": self.compared.running,
            "notes": [shown_text(note, _LONGEST_NOTE) for note in report.notes],
            "scored": report.overall.num_samples,
            "pairs": report.overall.num_pairs,
            "samples": report.samples_per_pair,
            "models": {role: model_of(report.provenance, role) for role in ("editor", "reward")},
        }

    def item(self, key: Key, limit: int) -> dict[str, Any] | None:
        """This run's part of a pair; None if it does not have it."""
        pair = self.pairs.get(key)
        if pair is None:
            return None
        found: dict[str, Any] = {"status": pair.status, "score": shown_number(pair.score)}
        sample = pair.samples[0] if pair.samples else None
        if sample is not None and sample.image is not None and sample.size is not None:
            found |= {
                "thumbnail": self.pictures.edit(*key, sample.sample),
                "full": self.pictures.full(sample.image),
                "size": list(sample.size),
                "edited": True,
            }
        if sample is not None and sample.scores:
            found["reply"] = shown_text(sample.scores[0].response, limit)
        if failure := self.failures.get(key):
            found["failure"] = shown_text(f"{failure.kind}: {failure.message}", limit)
        return {name: value for name, value in found.items() if value is not None}


def _items(
    result: Result, runs: Sequence[_Run], keys: Sequence[Key], categories: Mapping[str, int], limit: int
) -> Iterator[dict[str, Any]]:
    differences = [{pair.key: pair.difference for pair in one.comparison.pairs} for one in result.against]
    left_out = [_left_out(one.comparison) for one in result.against]
    for key in keys:
        found = [pair for run in runs if (pair := run.pairs.get(key))]
        sources = [url for run in runs if key in run.pairs if (url := _source(run, key))]
        yield {
            "category": categories[key.category],
            "id": shown_name(key.pair_id),
            "instruction": shown_text(found[0].instruction, limit),
            "description": shown_text(found[0].description, limit),
            "source": sources[0] if sources else None,
            "runs": [run.item(key, limit) for run in runs],
            "differences": [of_run.get(key) for of_run in differences],
            "left_out": [of_run.get(key) for of_run in left_out],
        }


def _source(run: _Run, key: Key) -> str | None:
    found = run.pictures.source(*key)
    return None if found is None else run.pictures.base + found


def _left_out(comparison: Comparison) -> dict[Key, str]:
    """Why a pair does not count."""
    found = {pair.key: "unlike_" + "_".join(pair.what) for pair in comparison.unlike}
    found |= {pair.key: "unscored" for pair in comparison.unscored}
    found |= dict.fromkeys(comparison.only_first, "only_first")
    return found | dict.fromkeys(comparison.only_other, "only_other")


def _against(against: Against, number: int, limit: float | None) -> dict[str, Any]:
    comparison = against.comparison
    return {
        "other": number,
        "settings": [shown_text(line, _LONGEST_NOTE) for line in against.settings],
        "worse": None if limit is None else comparison.is_worse(limit),
        "overall": _group(comparison.overall),
        "categories": [{"name": shown_name(name), **_group(one)} for name, one in comparison.categories.items()],
        "counts": {
            "unlike": len(comparison.unlike),
            "unscored": len(comparison.unscored),
            "only_first": len(comparison.only_first),
            "only_other": len(comparison.only_other),
        },
    }


def _group(group: GroupComparison) -> dict[str, Any]:
    difference = group.difference
    return {
        "pairs": difference.num_pairs,
        "first": group.first_mean,
        "other": group.other_mean,
        "mean": difference.mean_difference,
        "ci95": None if difference.ci95 is None else list(difference.ci95),
        "better": difference.wins,
        "same": difference.ties,
        "worse": difference.losses,
        "p": difference.sign_test_p,
    }


def _lengths(pairs: Iterable[PairResult]) -> Iterator[int]:
    for pair in pairs:
        yield len(pair.instruction or "")
        yield len(pair.description or "")
        for sample in pair.samples[:1]:
            yield from (len(score.response or "") for score in sample.scores[:1])
