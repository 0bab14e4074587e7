"""A comparison of runs as data. These types are its JSON form: keys and their order are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from scheduler.report.model import ReportStatus
from scheduler.report.series.model import Series
from scheduler.statistics.describe import Interval, PairedDifference
from scheduler.store.results import PairStatus


class PairKey(Struct, frozen=True):
    """The name of a pair."""

    category: str
    pair_id: str


class ScoredPair(PairKey, frozen=True):
    """A pair that counts: its scores in the first run and in the other, ``difference`` = other - first."""

    first: float
    other: float
    difference: float


class NotComparable(PairKey, frozen=True):
    """A name that means different pairs in the two runs: another source image, another instruction, or both."""

    differs: tuple[Literal["source", "instruction"], ...]


class WithoutScore(PairKey, frozen=True):
    """A pair without a score in one run or in both: its status in each."""

    first: PairStatus
    other: PairStatus


class GroupComparison(PairedDifference, frozen=True):
    """The pairs that count, of one category or of all. The means are over these pairs alone, null without any."""

    first_mean: float | None
    other_mean: float | None


class NumberComparison(Struct, frozen=True):
    """One official number over the items that both runs have, and ``other - first`` with its 95% interval, by a paired
    bootstrap over items; null where there is none.
    """

    first: float | None
    other: float | None
    difference: float | None
    ci95: Interval | None


class OfficialComparison(Struct, frozen=True):
    """The official numbers of both runs over the ``num_items`` pairs that count. ``main`` is the one usually quoted.

    ``notes`` say what else the two runs do not have in common.
    """

    protocol: str
    main: str | None
    num_items: int
    numbers: Mapping[str, NumberComparison]
    notes: tuple[str, ...]


class EditDistance(PairKey, frozen=True):
    """How far two edits are from each other: the mean and the largest difference of a channel, from 0 to 255; the peak
    signal-to-noise ratio in dB, null if all pixels are equal; the structural similarity, at most 1, null if a side is
    under 11 pixels.
    """

    sample: int
    mean_difference: float
    largest_difference: int
    psnr: float | None
    ssim: float | None


class PixelComparison(Struct, frozen=True, kw_only=True):
    """The edits of both runs, pixel by pixel (``--pixels``).

    ``num_edits`` of them are compared, of which ``num_equal`` have the same pixels. Others have another size, or an
    image that is not there any more. The figures are null without an edit, PSNR also if all pixels are equal.
    """

    num_edits: int
    num_equal: int
    num_other_size: int
    num_without_image: int
    psnr_median: float | None
    psnr_min: float | None
    ssim_median: float | None
    ssim_min: float | None
    mean_difference: float | None
    largest_difference: int | None
    edits: tuple[EditDistance, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """One run compared with the first. Both are named by their labels; pairs are in the first run's order.

    ``worse``: whether the mean difference is below what ``--fail-if-worse`` allows, null without that option or if no
    pair counts. ``settings`` are those that differ and affect results, a line each. ``dimensions`` are compared over
    the pairs that count and have the dimension in both runs. ``official`` is null without a protocol, and ``pixels``
    without ``--pixels``.
    """

    first: str
    other: str
    worse: bool | None
    settings: tuple[str, ...]
    overall: GroupComparison
    categories: Mapping[str, GroupComparison]
    dimensions: Mapping[str, GroupComparison]
    official: OfficialComparison | None
    not_comparable: tuple[NotComparable, ...]
    without_score: tuple[WithoutScore, ...]
    only_in_first: tuple[PairKey, ...]
    only_in_other: tuple[PairKey, ...]
    pairs: tuple[ScoredPair, ...]
    pixels: PixelComparison | None = None


class ComparedRun(Struct, frozen=True, kw_only=True):
    """One of the runs. ``label`` is a letter, ``A`` for the first; ``run`` is its id, ``title`` its checkpoint;
    ``running``: it is not over.
    """

    label: str
    run: str
    title: str
    directory: str
    status: ReportStatus
    running: bool
    num_pairs: int
    num_samples: int
    notes: tuple[str, ...]


class ComparisonReport(Struct, frozen=True, kw_only=True):
    """All runs, and each but the first compared with the first. ``fail_if_worse`` is that option's value.

    ``series`` has the table of more than two runs, the best first, as ``series.json`` has it, without pairs; null for
    two runs, and where two have no pair in common.
    """

    runs: tuple[ComparedRun, ...]
    fail_if_worse: float | None
    series: Series | None
    comparisons: tuple[Comparison, ...]
