"""The pairs of a series. A name means the pair that most runs have: source image and instruction may differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from scheduler.report.series.model import SeriesPair, SeriesPairStatus
from scheduler.report.series.results import PairKey, PairScore, RunResults


class DifferentBenchmarkError(ValueError):
    """A run has no pair in common with the others."""


def usual_pairs(runs: Sequence[RunResults]) -> dict[PairKey, int]:
    """Return ``same`` of each pair, in the benchmark's order, as most runs have it; of equally many, the earlier are
    usual.
    """
    counts: dict[PairKey, Counter[int]] = {}
    for run in runs:
        for key, pair in run.pairs.items():
            counts.setdefault(key, Counter())[pair.same] += pair.score is not None
    return {key: max(of_pair, key=of_pair.__getitem__) for key, of_pair in counts.items()}


def check_benchmark(runs: Sequence[RunResults], names: Sequence[str]) -> None:
    """Raise ``DifferentBenchmarkError`` if a run and the first one are of different benchmarks."""
    first = runs[0]
    for run, name in zip(runs[1:], names[1:], strict=True):
        common = run.pairs.keys() & first.pairs.keys()
        scored = any(pair.score is not None for pair in run.pairs.values())
        alike = any(run.pairs[key].same == first.pairs[key].same for key in common) or (common and not scored)
        if run.pairs and first.pairs and not alike:
            raise DifferentBenchmarkError(
                f"{names[0]} ({first.stamp}) and {name} ({run.stamp}) can't be compared: they have no pair in common. "
                "Make a series of each benchmark"
            )


def usual_scores(run: RunResults, usual: Mapping[PairKey, int]) -> list[float | None]:
    """Return the run's score of each usual pair; None where it lacks one."""
    return [_score(run.pairs.get(key), same) for key, same in usual.items()]


def series_pairs(
    runs: Sequence[RunResults], directories: Sequence[str], usual: Mapping[PairKey, int]
) -> Iterator[SeriesPair]:
    """Yield the pairs. ``directories`` are those of the runs, relative to the folder of the series."""
    for key, same in usual.items():
        found = [run.pairs.get(key) for run in runs]
        having = [number for number, pair in enumerate(found) if pair is not None and pair.same == same]
        sources = (
            f"{directories[number]}/{source}"
            for number in having
            if (source := runs[number].sources.get(key)) is not None
        )
        yield SeriesPair(
            category=key[0],
            pair_id=key[1],
            instruction=runs[having[0]].texts.get(key) if having else None,
            source=next(sources, None),
            statuses=tuple(_status(pair, same) for pair in found),
            scores=tuple(_score(pair, same) for pair in found),
            images=tuple(pair and pair.image for pair in found),
            thumbnails=tuple(pair and pair.thumbnail for pair in found),
        )


def _score(pair: PairScore | None, same: int) -> float | None:
    return pair.score if pair is not None and pair.same == same else None


def _status(pair: PairScore | None, same: int) -> SeriesPairStatus:
    if pair is None:
        return "absent"
    return "other" if pair.score is not None and pair.same != same else pair.status
