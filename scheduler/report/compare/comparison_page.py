"""The page of a comparison: its JSON form, and beside it the pictures and texts of the runs' pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs

from scheduler.report.compare.saved_runs import ComparedRuns, LoadedRun
from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.page_values import page_tree, page_value, text_limit
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.run_page import dimension_scale, score_range
from scheduler.report.series.model import Series
from scheduler.report.thumbnails import further_images
from scheduler.store.results import Failure, PairResult, SampleResult

_Key = tuple[str, str]


def render_comparison(compared: ComparedRuns, output_dir: Path, name: str) -> bytes:
    """Return the page as UTF-8 HTML: ``name`` with ``.html``, in ``output_dir`` beside the comparison's other forms."""
    runs = [_PageRun.of(run, output_dir) for run in compared.runs]
    limit = text_limit(length for run in runs for length in _lengths(run.pairs.values()))
    keys = dict.fromkeys(key for run in runs for key in run.pairs)
    page = {
        "runs": [run.head() for run in runs],
        "range": score_range([run.report for run in compared.runs]),
        "dimensions": _dimensions(compared),
        "links": [["JSON", quote(f"{name}.json")], ["Markdown", quote(f"{name}.md")]],
        "text_limit": limit,
        **({} if compared.series is None else {"series": page_value(_ranked(compared.series), limit)}),
    }
    return render_page(
        title=f"{' / '.join(run.title for run in compared.runs)} · warmbench",
        scripts=("comparison_card", "comparison_sections", "comparison_page"),
        data={
            "page": page,
            "comparison": _comparison(compared, limit),
            "pairs": [page_value(_pair(key, runs), limit) for key in keys],
        },
    )


@dataclass(frozen=True)
class _PageRun:
    """One of the runs, with its pairs and their first failures by name."""

    run: LoadedRun
    pictures: Pictures
    pairs: Mapping[_Key, PairResult]
    failures: Mapping[_Key, Failure]
    gallery: str

    @classmethod
    def of(cls, run: LoadedRun, output_dir: Path) -> _PageRun:
        pictures = Pictures(run.saved.path, output_dir)
        return cls(
            run=run,
            pictures=pictures,
            pairs={(pair.category, pair.pair_id): pair for pair in run.report.pairs},
            failures={(failure.category, failure.pair_id): failure for failure in reversed(run.report.failures)},
            gallery=pictures.beside(run.saved.output_dir / f"evaluation_report_{run.saved.stamp}.html"),
        )

    def head(self) -> dict[str, Any]:
        report = self.run.report
        return {
            "base": self.pictures.base,
            "gallery": self.gallery,
            "samples_per_pair": report.samples_per_pair,
            "editor": page_tree({"editor": report.provenance.get("editor")})["editor"],
        }

    def pair(self, key: _Key) -> dict[str, Any] | None:
        """The run's result for a pair, with its first edit; None if the run does not have the pair."""
        pair = self.pairs.get(key)
        if pair is None:
            return None
        failure = self.failures.get(key)
        result: dict[str, Any] = {
            "status": pair.status,
            "score": pair.score,
            "dimensions": pair.dimensions,
            "message": f"{failure.kind}: {failure.message}" if failure else None,
        }
        sample = pair.samples[0] if pair.samples else None
        if sample is not None and sample.image is not None:
            result["thumbnail"] = self.pictures.thumbnail(*key, sample.sample)
            result["full_size"] = self.pictures.full(sample.image)
            result["size"] = sample.size
        if sample is not None and sample.scores:
            result["response"] = sample.scores[0].response
            result["method"] = sample.scores[0].method
        if sample is not None and sample.answers:
            result["response"] = _replies(sample)
        return result


def _comparison(compared: ComparedRuns, limit: int) -> dict[str, Any]:
    """The JSON form. Official numbers are in a list, because the page has no nulls in mappings."""
    plain = msgspec.to_builtins(compared.report())
    del plain["series"]
    for comparison in plain["comparisons"]:
        if official := comparison["official"]:
            official["numbers"] = [
                [name, *(number[key] for key in ("first", "other", "difference", "ci95"))]
                for name, number in official["numbers"].items()
            ]
    value: dict[str, Any] = page_value(plain, limit)
    return value


def _ranked(series: Series) -> dict[str, Any]:
    """The table of all runs, the best first."""
    runs = [structs.asdict(series.runs[number]) for number in series.ranking]
    shown = ("title", "step", "mean", "ci95", "num_scored", "num_pairs", "judged_alike", "best", "previous")
    return {
        "by_step": series.by_step,
        "num_comparisons": series.num_comparisons,
        "runs": [{name: msgspec.to_builtins(run[name]) for name in shown} for run in runs],
    }


def _dimensions(compared: ComparedRuns) -> list[list[Any]]:
    """The dimensions that the first run has in common with another, each with the ends of its scale."""
    names = dict.fromkeys(name for comparison in compared.comparisons for name in comparison.dimensions)
    return [[name, dimension_scale(compared.runs[0].report, name)] for name in names]


def _replies(sample: SampleResult) -> str:
    """The answers of the first pass, each after the name of its question."""
    return "\n\n".join(f"{answer.question}: {answer.response}" for answer in sample.answers if answer.pass_ == 0)


def _pair(key: _Key, runs: Sequence[_PageRun]) -> dict[str, Any]:
    category, pair_id = key
    pairs = [pair for run in runs if (pair := run.pairs.get(key))]
    sources = [(run.pictures.base, run.pictures.thumbnail(*key, None)) for run in runs if key in run.pairs]
    thumbnails = [base + url for base, url in sources if url]
    further = dict.fromkeys(name for pair in pairs for name in further_images(pair))
    return {
        "category": category,
        "pair_id": pair_id,
        "instruction": pairs[0].instruction,
        "description": pairs[0].description,
        "source_thumbnail": thumbnails[0] if thumbnails else None,
        "pictures": [[name, _picture(key, name, runs)] for name in further],
        "runs": [run.pair(key) for run in runs],
    }


def _picture(key: _Key, name: str, runs: Sequence[_PageRun]) -> str | None:
    """The thumbnail of an image of the pair, by the first run that has it."""
    found = ((run.pictures.base, run.pictures.thumbnail(*key, name)) for run in runs if key in run.pairs)
    return next((base + url for base, url in found if url), None)


def _lengths(pairs: Iterable[PairResult]) -> Iterator[int]:
    for pair in pairs:
        yield len(pair.instruction or "")
        yield len(pair.description or "")
        for sample in pair.samples[:1]:
            yield from (len(score.response or "") for score in sample.scores[:1])
            yield from (len(answer.response) for answer in sample.answers if answer.pass_ == 0)
