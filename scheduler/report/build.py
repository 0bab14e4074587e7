"""Builds a report from the rows of a ledger. The rows are read once, as a stream; only results are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs

from scheduler.base.stages import Stage
from scheduler.base.text import counted
from scheduler.report.agreement import agree
from scheduler.report.dimensions import aspect_names, describe_dimensions, pair_dimensions
from scheduler.report.json_form import plain
from scheduler.report.model import Group, JudgeUsage, Overall, Performance, Report, StagePerformance, Summary
from scheduler.report.official import answered_by, official, official_rules
from scheduler.statistics.barrier_loss import barrier_loss
from scheduler.statistics.describe import describe, mean
from scheduler.statistics.variance import Variance, variance_components
from scheduler.store.human_scores import HumanScores
from scheduler.store.results import Expected, Failure, PairResult
from scheduler.store.rows import AnsweredRow, EditedRow, FailedRow, Row, ScoredRow, StageRow
from scheduler.store.tally import PairTally, read_tallies
from scheduler.store.usage import UsageTotals


def build_report(
    rows: Iterable[Row],
    *,
    manifest: Mapping[str, Any],
    expected: Expected,
    human: HumanScores | None = None,
    intervals: bool = True,
) -> Report:
    """Build the report of a run, finished or not, from its ledger's rows and its manifest alone.

    ``manifest["notes"]`` is a list of warnings to the reader (a simulated model, random weights). ``reused_from`` has
    the titles of runs whose results were taken over, by their ids.
    ``manifest["left_out"]`` are pairs (category, id) of the ledger that the run no longer includes.
    ``manifest["combine"]`` is the rule for the aspects of each category that has aspects. ``human`` are scores by
    people, which the report compares with the reward's. Without ``intervals`` the official numbers have none.
    """
    stages: list[StageRow] = []
    usage = UsageTotals()
    left_out = {tuple(key) for key in manifest.get("left_out") or ()}
    tallies = read_tallies(_of_pairs(rows, stages, usage), expected)
    pairs: list[PairResult] = []
    failures: list[Failure] = []
    reused: dict[str, Counter[str]] = {}
    judged_by = official_rules(manifest)
    tallies.reverse()
    while tallies:  # each is freed when its result is made
        tally = tallies.pop()
        if (tally.category, tally.pair_id) in left_out:
            continue
        _count_reused(tally, reused)
        pair = tally.result(expected)
        names = judged_by.dimension_names(pair) if judged_by else ()
        if dimensions := pair_dimensions(pair, expected, names):
            pair = structs.replace(pair, dimensions=dimensions)
        pairs.append(pair)
        failures += tally.failures(expected)
    rules = manifest.get("combine")
    categories = _by_category(pairs, rules if isinstance(rules, Mapping) else {})
    means = [group.mean for group in categories.values() if group.mean is not None]
    overall = Overall(**_group(pairs, None), macro_mean=mean(means) if means else None)
    done = bool(pairs) and not overall.num_failed and not overall.num_missing
    return Report(
        status="COMPLETE" if done else "INCOMPLETE",
        stages=tuple(expected.stages),
        samples_per_pair=expected.samples_per_pair,
        reward_passes=expected.reward_passes,
        notes=tuple(map(str, (*(manifest.get("notes") or ()), *_reuse_notes(reused, manifest.get("reused_from"))))),
        official=official(judged_by, pairs, failures, expected, intervals=intervals) if judged_by else None,
        summary=Summary(
            total_pairs=overall.num_pairs,
            categories=len(categories),
            overall_mean=overall.mean,
            overall_std=overall.std,
        ),
        category_statistics=categories,
        overall=overall,
        variance=_variance(pairs),
        agreement=None if human is None else agree(pairs, human, expected.samples_per_pair),
        failures=tuple(failures),
        performance=_performance(stages, pairs, int(manifest.get("round_size") or 1), usage),
        # As JSON gives the manifest back: a report that is made later, from the file, is the same.
        provenance={**plain(manifest), "scoring_methods": _scoring_methods(pairs)},
        pairs=tuple(pairs),
    )


def _of_pairs(rows: Iterable[Row], stages: list[StageRow], usage: UsageTotals) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, StageRow):
            stages.append(row)
            continue
        if isinstance(row, AnsweredRow | ScoredRow | FailedRow) and row.usage is not None and not _reused_from(row):
            usage.add(row.usage)
        yield row


def _reused_from(row: Row) -> str | None:
    """The run from which the result was taken over."""
    run = getattr(row, "reused_from", None)
    return run if isinstance(run, str) else None


def _count_reused(tally: PairTally, reused: dict[str, Counter[str]]) -> None:
    """Count the results of the pair that come from other runs, by run and kind."""
    for sample in tally.samples.values():
        rows: list[Row] = [*sample.scores.values()]
        if sample.edit is not None and not sample.withdrawn:
            rows.append(sample.edit)
        for row in rows:
            if run := _reused_from(row):
                reused.setdefault(run, Counter())["edit" if isinstance(row, EditedRow) else "score"] += 1


def _reuse_notes(reused: Mapping[str, Counter[str]], others: Any) -> Iterator[str]:
    for run, counts in reused.items():
        other = others.get(run) if isinstance(others, Mapping) else None
        title = other.get("title") if isinstance(other, Mapping) else None
        name = run if title in (None, run) else f"{run} ({title})"
        taken = " and ".join(counted(counts[kind], kind) for kind in ("edit", "score") if counts[kind])
        yield f"Taken over from run {name}: {taken}."


def _by_category(pairs: Sequence[PairResult], rules: Mapping[str, Any]) -> dict[str, Group]:
    members: dict[str, list[PairResult]] = {}
    for pair in pairs:
        members.setdefault(pair.category, []).append(pair)
    return {category: Group(**_group(of_category, rules.get(category))) for category, of_category in members.items()}


def _group(pairs: Sequence[PairResult], rule: Any) -> dict[str, Any]:
    """The fields of a ``Group``."""
    counts = Counter(pair.status for pair in pairs)
    dimensions, aspects = describe_dimensions(pairs), aspect_names(pairs)
    return {
        **structs.asdict(describe([pair.score for pair in pairs if pair.score is not None])),
        "num_pairs": len(pairs),
        "num_failed": counts["failed"],
        "num_missing": counts["missing"],
        "num_edited": counts["edited"],
        "dimensions": dimensions,
        "aspects": {name: described for name, described in dimensions.items() if name in aspects},
        "combine": rule if isinstance(rule, str) else None,
    }


def _variance(pairs: Sequence[PairResult]) -> Variance | None:
    scored = (pair for pair in pairs if pair.status == "scored")
    return variance_components(
        [[[score.score for score in sample.scores] for sample in pair.samples] for pair in scored]
    )


def _scoring_methods(pairs: Sequence[PairResult]) -> dict[str, int]:
    scored = (pair for pair in pairs if pair.status == "scored")
    counts = Counter(score.method for pair in scored for sample in pair.samples for score in sample.scores)
    return dict(sorted(counts.items()))


def _performance(
    stages: Sequence[StageRow], pairs: Sequence[PairResult], round_size: int, usage: UsageTotals
) -> Performance:
    edit = _stage_performance("edit", stages)
    loss = None
    if edit.workers and any(row.rounds for row in stages):
        # Edits of other runs have no round in this one.
        edits = [sample for pair in pairs for sample in pair.samples if sample.round is not None]
        seconds = [sample.edit_device_seconds for sample in edits]
        loss = barrier_loss([value for value in seconds if value is not None], edit.workers * round_size)
    return Performance(
        edit=edit,
        score=_stage_performance("score", stages),
        rounds=sum(row.rounds for row in stages) if stages else None,
        barrier_wait_seconds=sum(row.barrier_wait_seconds for row in stages) if stages else None,
        barrier_loss_in_file_order=loss,
        model_switches=sum(row.model_switches for row in stages) if stages else None,
        model_switch_seconds=sum(row.model_switch_seconds for row in stages) if stages else None,
        judge=_judge(usage) if usage.requests else None,
    )


def _judge(usage: UsageTotals) -> JudgeUsage:
    return JudgeUsage(
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        answered_by=answered_by(usage.answers),
    )


def _stage_performance(stage: Stage, stages: Sequence[StageRow]) -> StagePerformance:
    parts = [row for row in stages if row.stage == stage]
    if not parts:
        return StagePerformance(wall_seconds=None, device_seconds=None, workers=None, efficiency=None)
    device = sum(row.device_seconds for row in parts)
    available = sum(row.wall_seconds * row.workers for row in parts)
    return StagePerformance(
        wall_seconds=sum(row.wall_seconds for row in parts),
        device_seconds=device,
        workers=max(row.workers for row in parts),
        efficiency=device / available if available > 0 else None,
    )
