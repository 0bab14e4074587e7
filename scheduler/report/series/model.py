"""A series of runs as data. These types are ``series.json``: its keys, their order, and its schema are made from them.

Runs are referred to by their place in ``runs``, from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from scheduler.report.model import ReportStatus, Scale
from scheduler.statistics.describe import Interval, ScoreStatistics
from scheduler.store.results import Count, Failure, PairStatus

RunNumber = Count
"""The place of a run in ``runs``."""

SettingKind = Literal["protocol", "judge", "prompts", "data", "evaluation", "editor", "versions"]
SeriesPairStatus = Literal[PairStatus, "absent", "other"]


class SettingDifference(Struct, frozen=True):
    """A setting of a run that is not as ``usual``: as in most runs of the series. The values are JSON, cut if long.

    With another ``protocol``, ``judge`` or other ``prompts``, scores mean something else. Of other ``data``, the pairs
    that are the same still count.
    """

    kind: SettingKind
    name: str
    value: str
    usual: str


class RunDifference(Struct, frozen=True, kw_only=True):
    """A run compared with the ``run`` of that number, over the ``num_pairs`` pairs that have a score in both.

    ``mean_difference`` is this run's mean score minus the other's: above 0 is better. ``ci95`` is its 95% interval and
    ``p`` the two-sided p value, of a paired t test; they hold for one comparison that was chosen beforehand.
    ``ci95_series`` and ``p_series`` are corrected for all comparisons of two runs of the series: the former by
    Bonferroni, the latter by Holm. All are null without enough pairs.
    """

    run: RunNumber
    num_pairs: Count
    mean_difference: float | None
    ci95: Interval | None
    p: Annotated[float, Meta(ge=0, le=1)] | None
    ci95_series: Interval | None
    p_series: Annotated[float, Meta(ge=0, le=1)] | None
    wins: Count
    ties: Count
    losses: Count


class RunOfficial(Struct, frozen=True, kw_only=True):
    """The benchmark's own numbers of a run: see ``official`` of its report."""

    version: str
    numbers: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    complete: bool
    comparable: bool
    deviations: tuple[str, ...]


class RunCost(Struct, frozen=True, kw_only=True):
    """What a run took, in all of its parts; null where it is not known.

    ``seconds`` is the duration that ``warmbench runs`` shows. Requests and tokens are those of a judge behind a server.
    """

    seconds: float | None
    edit_wall_seconds: float | None
    edit_device_seconds: float | None
    score_wall_seconds: float | None
    score_device_seconds: float | None
    requests: Count | None
    prompt_tokens: Count | None
    completion_tokens: Count | None


class SeriesRun(Struct, frozen=True, kw_only=True):
    """One run. ``run`` is its id, ``directory`` its folder relative to that of ``series.json``.

    ``step`` is that of its checkpoint, ``training`` the folder of the checkpoints that it is one of; null if unknown.
    ``model`` is the checkpoint, or the place of edits that were made elsewhere. ``started`` is in epoch seconds, 0 if
    unknown. ``num_pairs`` is ``num_scored + num_edited + num_failed + num_missing``; statistics are over the scored
    pairs. ``num_other`` pairs have another source image or instruction than in most runs: they count in the run's own
    statistics, not in differences. ``judged_alike``: protocol, judge and prompts are the usual ones. ``best`` and
    ``previous`` compare it with the first run of the ranking and with the run before it: of its training, else the last
    of no training. They are null where that is the run itself, if there is none, and for a run that was not judged
    alike.
    """

    run: str
    title: str
    directory: str
    model: str | None
    step: Count | None
    training: str | None
    started: float
    status: ReportStatus
    running: bool
    notes: tuple[str, ...]
    num_pairs: Count
    num_scored: Count
    num_edited: Count
    num_failed: Count
    num_missing: Count
    num_other: Count
    mean: float | None
    std: float | None
    ci95: Interval | None
    categories: Mapping[str, ScoreStatistics]
    dimensions: Mapping[str, ScoreStatistics]
    official: RunOfficial | None
    judged_alike: bool
    ranked: bool
    settings: tuple[SettingDifference, ...]
    best: RunDifference | None
    previous: RunDifference | None
    cost: RunCost
    failures: tuple[Failure, ...]


class ChangedPair(Struct, frozen=True, kw_only=True):
    """A pair that scores otherwise in a later run; ``difference`` is the later score minus the earlier one."""

    category: str
    pair_id: str
    difference: float


class Change(Struct, frozen=True, kw_only=True):
    """The pairs that changed most from the run ``earlier`` to the run ``later``, the largest change first."""

    earlier: RunNumber
    later: RunNumber
    worse: tuple[ChangedPair, ...]
    better: tuple[ChangedPair, ...]


class Gate(Struct, frozen=True, kw_only=True):
    """Whether the ``run`` is worse than the run ``other`` by more than ``by``: whether the whole 95% interval of their
    paired difference, ``ci95``, lies below ``-by``.

    Beside the ``best`` run the interval is the one that is corrected for all comparisons of the series: the best of
    many is in part the luckiest. ``worse`` is null if that is unknown, and ``reason`` says why: they were not judged
    alike, or fewer than two pairs have a score in both. Without another run nothing is worse, and ``other`` is null.
    """

    by: float
    against: str
    run: RunNumber
    other: RunNumber | None
    num_pairs: Count
    mean_difference: float | None
    ci95: Interval | None
    worse: bool | None
    reason: str | None


class SeriesPair(Struct, frozen=True, kw_only=True):
    """One pair. The tuples have an entry for each run, in the order of ``runs``.

    ``instruction`` is that of most runs. A score is null unless the status is ``scored``; ``absent`` means that the run
    does not have the pair, ``other`` that it has another source image or instruction under this name. ``source`` is the
    thumbnail of the source image, relative to the folder of ``series.json``. ``images`` and ``thumbnails`` are of the
    first sample's edit, relative to the run's directory or absolute; null where there is no such file.
    """

    category: str
    pair_id: str
    instruction: str | None
    source: str | None
    statuses: tuple[SeriesPairStatus, ...]
    scores: tuple[float | None, ...]
    images: tuple[str | None, ...]
    thumbnails: tuple[str | None, ...]


class Series(Struct, frozen=True, kw_only=True):
    """Runs of one benchmark, judged in the same way.

    ``runs`` are in the order of their steps: those without a step first, then training after training. ``by_step``: two
    or more have one; else the series is a leaderboard, in the order in which the runs were named. ``ranking`` has the
    numbers of all runs, the highest mean first. Runs that are not ``ranked`` come last: those that were not judged
    alike, and those with scores for less than half as many pairs as another. ``num_comparisons`` is how many
    comparisons of two runs ``p_series`` and ``ci95_series`` are corrected for. ``protocol``, ``main`` and ``scale`` are
    those of the official numbers, ``score_range`` are the ends of the scores' scale. ``gate`` is null unless it was
    asked for. ``pairs`` are in the benchmark's order.
    """

    benchmark: str
    protocol: str | None
    main: str | None
    scale: Interval | None
    score_range: Interval
    by_step: bool
    categories: tuple[str, ...]
    dimensions: Mapping[str, Scale | None]
    num_comparisons: Count
    ranking: tuple[RunNumber, ...]
    runs: tuple[SeriesRun, ...]
    changes: tuple[Change, ...]
    gate: Gate | None
    pairs: tuple[SeriesPair, ...]
