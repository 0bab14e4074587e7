"""From the rows of a ledger to a report. The rows are read once, as a stream, and only what the report says is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scheduler.base.stages import Stage
from scheduler.report.agreement import agree
from scheduler.report.aspects import describe_aspects
from scheduler.report.model import Group, Performance, Report, StagePerformance
from scheduler.statistics.barrier_loss import barrier_loss
from scheduler.statistics.describe import describe, mean
from scheduler.statistics.variance import Variance, tell_apart
from scheduler.store.human_scores import HumanScores
from scheduler.store.results import Expected, Failure, PairResult
from scheduler.store.rows import EditedRow, FailedRow, Planned, Row, ScoredRow, StageRow
from scheduler.store.tally import PairTally


def build_report(
    rows: Iterable[Row], *, manifest: Mapping[str, Any], expected: Expected, human: HumanScores | None = None
) -> Report:
    """Build the report of a run, finished or not, from its ledger's rows and its manifest alone.

    ``manifest["notes"]``, a list of texts, is what a reader has to know first (a simulated model, random weights);
    ``manifest["left_out"]`` are pairs (category, id) of the ledger that the run does not ask for any more;
    ``manifest["combine"]`` is the rule for the aspects of each category that has some. ``human`` are scores that people
    gave, to be compared with the reward's.
    The report is ``COMPLETE`` if there are pairs and every one did the stages that ``expected`` names.
    """
    stages: list[StageRow] = []
    left_out = {tuple(key) for key in manifest.get("left_out") or ()}
    tallies = read_tallies(_without_stages(rows, stages), expected)
    pairs: list[PairResult] = []
    failures: list[Failure] = []
    for tally in tallies:
        if (tally.category, tally.pair_id) in left_out:
            continue
        pairs.append(tally.result(expected))
        failures += tally.failures(expected)
    categories = _by_category(pairs, manifest.get("combine"))
    overall = _group(pairs, None)
    means = [group.statistics.mean for group in categories.values() if group.statistics.mean is not None]
    done = bool(pairs) and not overall.num_failed and not overall.num_missing
    return Report(
        expected=expected,
        status="COMPLETE" if done else "INCOMPLETE",
        notes=tuple(str(note) for note in manifest.get("notes") or ()),
        overall=overall,
        macro_mean=mean(means) if means else None,
        variance=_variance(pairs),
        agreement=None if human is None else agree(pairs, human, expected.samples_per_pair),
        categories=categories,
        failures=tuple(failures),
        pairs=tuple(pairs),
        scoring_methods=_methods(pairs),
        performance=_performance(stages, pairs, int(manifest.get("round_size") or 1)),
        provenance={name: _as_in_file(value) for name, value in manifest.items()},
    )


def read_tallies(rows: Iterable[Row], expected: Expected) -> list[PairTally]:
    """Return the pairs in the order of their first ``planned`` rows, those never planned behind them."""
    tallies: dict[tuple[str, str], PairTally] = {}
    planned: dict[tuple[str, str], PairTally] = {}
    for row in rows:
        if isinstance(row, StageRow):
            continue
        key = (row.category, row.pair_id)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = PairTally(*key)
        match row:
            case Planned():
                planned.setdefault(key, tally)
                tally.plan(row)
            case EditedRow():
                tally.edited(row, expected)
            case ScoredRow():
                tally.scored(row, expected)
            case FailedRow():
                tally.failed(row, expected)
    return list((planned | tallies).values())


def _as_in_file(value: Any) -> Any:
    """A manifest's value as JSON gives it back, so that a report made later, of the file, is the same."""
    if isinstance(value, Mapping):
        return {name: _as_in_file(item) for name, item in value.items()}
    return [_as_in_file(item) for item in value] if isinstance(value, list | tuple) else value


def _without_stages(rows: Iterable[Row], stages: list[StageRow]) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, StageRow):
            stages.append(row)
        else:
            yield row


def _by_category(pairs: Sequence[PairResult], combine: Any) -> dict[str, Group]:
    rules = combine if isinstance(combine, Mapping) else {}
    members: dict[str, list[PairResult]] = {}
    for pair in pairs:
        members.setdefault(pair.category, []).append(pair)
    return {category: _group(of_category, rules.get(category)) for category, of_category in members.items()}


def _group(pairs: Sequence[PairResult], rule: Any) -> Group:
    counts = Counter(pair.status for pair in pairs)
    return Group(
        statistics=describe([pair.score for pair in pairs if pair.score is not None]),
        num_pairs=len(pairs),
        num_edited=counts["edited"],
        num_failed=counts["failed"],
        num_missing=counts["missing"],
        aspects=describe_aspects(pairs),
        combine=rule if isinstance(rule, str) else None,
    )


def _variance(pairs: Sequence[PairResult]) -> Variance | None:
    scored = (pair for pair in pairs if pair.status == "scored")
    return tell_apart([[[score.score for score in one.scores] for one in pair.samples] for pair in scored])


def _methods(pairs: Sequence[PairResult]) -> dict[str, int]:
    counts = Counter(
        score.method for pair in pairs if pair.status == "scored" for sample in pair.samples for score in sample.scores
    )
    return dict(sorted(counts.items()))


def _performance(stages: Sequence[StageRow], pairs: Sequence[PairResult], round_size: int) -> Performance:
    edit = _stage_performance("edit", stages)
    loss = None
    if edit.workers and any(row.rounds for row in stages):
        edits = [sample.edit for pair in pairs for sample in pair.samples if sample.edit is not None]
        seconds = [one.device_seconds for one in edits if one.device_seconds is not None]
        loss = barrier_loss(seconds, edit.workers * round_size)
    return Performance(
        edit=edit,
        score=_stage_performance("score", stages),
        rounds=sum(row.rounds for row in stages) if stages else None,
        barrier_loss_in_file_order=loss,
        barrier_wait_seconds=sum(row.barrier_wait_seconds for row in stages) if stages else None,
        model_switches=sum(row.model_switches for row in stages) if stages else None,
        model_switch_seconds=sum(row.model_switch_seconds for row in stages) if stages else None,
    )


def _stage_performance(stage: Stage, stages: Sequence[StageRow]) -> StagePerformance:
    parts = [row for row in stages if row.stage == stage]
    if not parts:
        return StagePerformance(wall_seconds=None, device_seconds=None, workers=None, efficiency=None)
    device = sum(row.device_seconds for row in parts)
    offered = sum(row.wall_seconds * row.workers for row in parts)
    return StagePerformance(
        wall_seconds=sum(row.wall_seconds for row in parts),
        device_seconds=device,
        workers=max(row.workers for row in parts),
        efficiency=device / offered if offered > 0 else None,
    )
