"""The report as data. These types are the JSON report: its keys, their order, and its schema are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from scheduler.base.stages import Stage
from scheduler.statistics.correlations import Coefficient, Correlation
from scheduler.statistics.describe import Interval, ScoreStatistics
from scheduler.statistics.variance import Variance
from scheduler.store.results import Count, Failure, PairResult, PositiveCount

ReportStatus = Literal["COMPLETE", "INCOMPLETE"]


class Summary(Struct, frozen=True, kw_only=True):
    """``overall_mean`` and ``overall_std`` are over all scored pairs (the micro average)."""

    total_pairs: Count
    categories: Count
    overall_mean: float | None
    overall_std: float | None


class Group(ScoreStatistics, frozen=True, kw_only=True):
    """The pairs of one category, or of all.

    The statistics are over the scored pairs, of which there are ``num_samples``. ``num_pairs`` is ``num_samples +
    num_edited + num_failed + num_missing``: edited means that no score was asked for, missing that a pair is not done
    yet. ``dimensions`` has the statistics of each dimension over the scored pairs that have it, ``aspects`` those of
    the dimensions that are aspects of ``prompts``. ``combine`` is the rule that makes one score of the aspects (mean,
    min, geometric_mean); null without aspects, if the run did not record it, and for all categories together.
    """

    num_pairs: Count
    num_failed: Count
    num_missing: Count
    num_edited: Count
    dimensions: Mapping[str, ScoreStatistics]
    aspects: Mapping[str, ScoreStatistics]
    combine: str | None


class Overall(Group, frozen=True, kw_only=True):
    """All pairs. ``mean`` is the micro average, over pairs; ``macro_mean`` the mean of the categories' means."""

    macro_mean: float | None


class Scale(Struct, frozen=True, kw_only=True):
    """The ends of a dimension's scale, and which of them is better."""

    low: float
    high: float
    better: Literal["higher", "lower"]


class AnsweredBy(Struct, frozen=True, kw_only=True):
    """How many answers came from one model, as the judge's server names it; null where it does not say."""

    model: str | None
    system_fingerprint: str | None
    num_answers: PositiveCount


class OfficialJudge(Struct, frozen=True, kw_only=True):
    """The judge that was asked, with its settings, and what answered. ``prescribed`` are the names of the authors'."""

    type: str
    model: str | None
    parameters: Mapping[str, Any]
    prescribed: tuple[str, ...]
    answered: tuple[AnsweredBy, ...]


class Official(Struct, frozen=True, kw_only=True):
    """The benchmark's own numbers, by the protocol of the run.

    ``files`` are the official files with their SHA-256, ``commit`` is that of their checkout. ``numbers`` has each
    number by the authors' name, ``main`` first; null where a score in it is missing or there is no item. With several
    samples or passes, a number is the mean of those of each sample and pass. ``intervals`` are 95% intervals by a
    bootstrap over items; a number on a single item has none. ``without_score`` counts the items that lack a score in
    some sample or pass, by the kind of the first failure (``missing``: not done yet). ``num_full`` is how many items
    the full benchmark has. ``deviations`` are all reasons why the numbers are not ``comparable`` with published ones,
    and after them what the protocol says about faults of the authors' script, which the numbers share.
    """

    protocol: str
    version: str
    files: Mapping[str, str]
    commit: str | None
    judge: OfficialJudge
    main: str | None
    numbers: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    num_items: Count
    num_scored: Count
    num_full: Count | None
    without_score: Mapping[str, PositiveCount]
    complete: bool
    comparable: bool
    deviations: tuple[str, ...]
    scale: Interval | None
    dimensions: Mapping[str, Scale]


class GroupAgreement(Struct, frozen=True, kw_only=True):
    """How far reward and people agree on ``num_pairs`` pairs of one category, or of all."""

    num_pairs: Count
    spearman: Correlation
    kendall: Correlation
    pearson: Coefficient | None


class Disagreement(Struct, frozen=True, kw_only=True):
    """A pair that reward and people rank differently.

    Ranks count from 1, the lowest score; ties share the mean of their ranks. ``rank_difference`` is ``rank -
    human_rank``: above 0, the reward ranks the pair higher.
    """

    category: str
    pair_id: str
    score: float
    human_score: float
    rank: Annotated[float, Meta(ge=1)]
    human_rank: Annotated[float, Meta(ge=1)]
    rank_difference: float


class Raters(Struct, frozen=True, kw_only=True):
    """How far people agree with each other.

    ``mean_spearman`` is the mean of Spearman's rho over the ``num_compared`` pairs of raters who have rated enough of
    the same pairs; null without any.
    """

    num_raters: Annotated[int, Meta(ge=2)]
    num_compared: Count
    mean_spearman: Coefficient | None


class UnmatchedRow(Struct, frozen=True, kw_only=True):
    """A row of the file of human scores that names no pair or sample of this run. Line 1 has the file's headings."""

    line: Annotated[int, Meta(ge=2)]
    category: str
    pair_id: str
    sample: Count | None


class Agreement(Struct, frozen=True, kw_only=True):
    """The reward's scores compared with those of people, over the scored pairs that people have rated.

    ``num_rows`` rows of the file have a score, ``num_blank`` have none. ``num_unscored`` rated pairs have no score by
    the reward, ``num_unrated`` scored pairs have none by people. ``disagreements`` are the largest, the largest first.
    ``raters`` is null if the file does not name several.
    """

    num_rows: PositiveCount
    num_blank: Count
    num_unmatched: Count
    num_unscored: Count
    num_unrated: Count
    overall: GroupAgreement
    categories: Mapping[str, GroupAgreement]
    disagreements: tuple[Disagreement, ...]
    raters: Raters | None
    unmatched: tuple[UnmatchedRow, ...]


class StagePerformance(Struct, frozen=True, kw_only=True):
    """One stage, summed over the parts of a resumed run; null if no part reached the stage's end.

    ``workers`` is the largest number in any part. ``device_seconds`` is the sum over workers of the time in which each
    had work: a batch, or requests in flight together, counts once. ``efficiency`` is device seconds / (wall seconds x
    workers), each part with its own number of workers.
    """

    wall_seconds: float | None
    device_seconds: float | None
    workers: Count | None
    efficiency: float | None


class JudgeUsage(Struct, frozen=True, kw_only=True):
    """What the judge's server was asked in all parts of the run, also for results that no longer count: requests, those
    that failed included, and the tokens that it says these took. ``answered_by`` has the most frequent model first.
    """

    requests: Count
    prompt_tokens: Count
    completion_tokens: Count
    answered_by: tuple[AnsweredBy, ...]


class Performance(Struct, frozen=True, kw_only=True):
    """Where the time went, in all parts of the run. ``judge`` is null without a judge behind a server.

    ``barrier_loss_in_file_order`` is the device time in seconds that edits of unequal length would have cost at
    barriers in the benchmark's order; null without barriers.
    """

    edit: StagePerformance
    score: StagePerformance
    rounds: Count | None
    barrier_wait_seconds: float | None
    barrier_loss_in_file_order: float | None
    model_switches: Count | None
    model_switch_seconds: float | None
    judge: JudgeUsage | None


_SCORED_HAS_A_SCORE = {
    "if": {"properties": {"status": {"const": "scored"}}},
    "then": {"properties": {"score": {"type": "number"}}},
    "else": {"properties": {"score": {"type": "null"}}},
}

_PROVENANCE = {
    "required": ["scoring_methods"],
    "properties": {"scoring_methods": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}},
    "additionalProperties": True,
}


class Report(Struct, frozen=True, kw_only=True):
    """The report of one run. A value that does not exist is null; later versions may add keys.

    ``COMPLETE`` means that there are pairs, and that each did the ``stages`` that the run's last part was asked for.
    ``notes`` are warnings that a reader must know first. Categories and pairs are in the benchmark's order, failures in
    that of their pairs. ``official`` is null without a protocol, ``variance`` if each pair has only one score,
    ``agreement`` if there are no scores by people. ``provenance`` is the run's manifest, whose content depends on the
    version that wrote it, and in it ``scoring_methods``: how many of the scores in the statistics were read by each
    method.
    """

    status: ReportStatus
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
    samples_per_pair: PositiveCount
    reward_passes: PositiveCount
    notes: tuple[str, ...]
    official: Official | None
    summary: Summary
    category_statistics: Mapping[str, Group]
    overall: Overall
    variance: Variance | None
    agreement: Agreement | None
    failures: tuple[Failure, ...]
    performance: Performance
    provenance: Annotated[Mapping[str, Any], Meta(extra_json_schema=_PROVENANCE)]
    pairs: tuple[Annotated[PairResult, Meta(extra_json_schema=_SCORED_HAS_A_SCORE)], ...]
