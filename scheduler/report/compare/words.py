"""The texts of a comparison beside its table, the same in the terminal and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from scheduler.base.text import counted
from scheduler.report.compare.comparison import ROUNDING
from scheduler.report.compare.comparison_report import (
    Comparison,
    GroupComparison,
    OfficialComparison,
    PairKey,
    PixelComparison,
)
from scheduler.report.compare.saved_runs import ComparedRuns, LoadedRun
from scheduler.report.figures import NOTHING, interval_text, score_text
from scheduler.report.official_text import number_interval_text, number_text

MAX_NAMED = 5
"""Pairs that are named; the JSON has all of them."""

Show = Callable[[object, int], str]
"""Makes a text from data safe for where it is shown, and shortens it."""


def run_line(run: LoadedRun, show: Show) -> str:
    """``A: checkpoints/900 (outputs/runs/20261121_091500): COMPLETE, 15 of 15 pairs scored``."""
    overall = run.report.overall
    running = ", still running" if run.running else ""
    scored = f"{overall.num_samples} of {counted(overall.num_pairs, 'pair')} scored"
    return f"{run.label}: {show(run.title, 200)} ({show(run.saved.path, 500)}): {run.report.status}, {scored}{running}"


def note_lines(compared: ComparedRuns, show: Show) -> Iterator[str]:
    """Warnings that a reader must know first."""
    for run in compared.runs:
        yield from (f"{run.label}: {show(note, 1000)}" for note in run.report.notes)
    for comparison in compared.comparisons:
        if comparison.official is not None:
            yield from (show(note, 1000) for note in comparison.official.notes)
        if pairs := comparison.not_comparable:
            names = [f"{_name(pair, show)} ({', '.join(pair.differs)})" for pair in pairs[:MAX_NAMED]]
            yield (
                f"NOT COMPARABLE: {_count(pairs)} {'has' if len(pairs) == 1 else 'have'} another source image or "
                f"instruction in {comparison.other} than in {comparison.first}: {_list(names, len(pairs))}"
            )


def left_out_lines(comparison: Comparison, show: Show) -> Iterator[str]:
    """Which pairs do not count, and why."""
    first, other = comparison.first, comparison.other
    if pairs := comparison.without_score:
        statuses = Counter((pair.first, pair.other) for pair in pairs)
        why = "; ".join(f"{count}: {first} {one}, {other} {two}" for (one, two), count in statuses.most_common())
        left_out = f"{_count(pairs)} without a score in {first} or {other} {_is(pairs)} left out ({why})"
        yield f"{left_out}: {_names(pairs, show)}"
    for label, keys in ((first, comparison.only_in_first), (other, comparison.only_in_other)):
        if keys:
            yield f"{_count(keys)} {_is(keys)} in {label} alone: {_names(keys, show)}"


def setting_lines(comparison: Comparison, show: Show) -> list[str]:
    """The settings that differ."""
    return [show(line, 300) for line in comparison.settings] or ["no setting differs that affects results"]


def verdict_lines(compared: ComparedRuns) -> Iterator[str]:
    """The overall result of each comparison."""
    for comparison in compared.comparisons:
        overall, first, other = comparison.overall, comparison.first, comparison.other
        if overall.mean_difference is None:
            yield f"{other} can't be compared with {first}: no pair has a score in both"
            continue
        difference = signed_text(overall.mean_difference)
        text = f"{other} against {first}, {_count(comparison.pairs)}: mean difference {difference}"
        if overall.ci95 is not None:
            text += f", 95% interval {interval_text(overall.ci95)}"
        if comparison.worse:
            text += f". WORSE by more than {compared.fail_if_worse:g}"
        yield text
    for comparison in compared.comparisons:
        if comparison.pixels is not None:
            yield _pixel_line(comparison, comparison.pixels)


def _pixel_line(comparison: Comparison, pixels: PixelComparison) -> str:
    text = f"Pixels of {comparison.other} against {comparison.first}, {counted(pixels.num_edits, 'edit')}"
    if pixels.num_edits:
        text += f": {pixels.num_equal} equal"
    if pixels.mean_difference is not None and pixels.num_equal < pixels.num_edits:
        text += f", mean difference {pixels.mean_difference:.3g}, largest {pixels.largest_difference} of 255"
        ratios = (f"{pixels.psnr_median:.1f} dB" if pixels.psnr_median is not None else "infinite", pixels.psnr_min)
        text += f", PSNR {ratios[0]} in the median, {ratios[1]:.1f} dB at the lowest"
        if pixels.ssim_median is not None:
            text += f", SSIM {pixels.ssim_median:.4f} in the median, {pixels.ssim_min:.4f} at the lowest"
    left_out = (
        (pixels.num_other_size, "of another size"),
        (pixels.num_without_image, "without an image (`evaluation.save_generated_images: true` keeps them)"),
    )
    return text + "".join(f"; {number} {why}" for number, why in left_out if number)


def headings(comparison: Comparison) -> list[str]:
    """The headings of the table's columns."""
    runs = [comparison.first, comparison.other]
    return ["Category", "Pairs", *runs, "Difference", "95% CI", "Wins", "Ties", "Losses", "Sign Test p"]


def cells(group: GroupComparison) -> list[str]:
    """A row of the table, without its first column."""
    return [
        str(group.num_pairs),
        score_text(group.first_mean),
        score_text(group.other_mean),
        signed_text(group.mean_difference),
        interval_text(group.ci95),
        str(group.wins),
        str(group.ties),
        str(group.losses),
        _p_text(group.sign_test_p),
    ]


def dimension_headings(comparison: Comparison) -> list[str]:
    """The headings of the table of dimensions."""
    return ["Dimension", "Pairs", comparison.first, comparison.other, "Difference", "95% CI"]


def dimension_rows(comparison: Comparison, show: Show) -> list[list[str]]:
    """The rows of that table."""
    # Not of wins and losses: of some dimensions less is better.
    return [[show(name, 100), *cells(group)[:5]] for name, group in comparison.dimensions.items()]


def number_headings(comparison: Comparison) -> list[str]:
    """The headings of the table of official numbers."""
    return ["Official Number", comparison.first, comparison.other, "Difference", "95% CI"]


def number_rows(official: OfficialComparison, names: Iterable[str], show: Show) -> list[list[str]]:
    """The rows of that table for these numbers."""
    return [
        [
            show(name, 100),
            number_text(number.first),
            number_text(number.other),
            signed_number_text(number.difference),
            number_interval_text(number.ci95),
        ]
        for name in names
        if (number := official.numbers.get(name)) is not None
    ]


def signed_number_text(value: float | None) -> str:
    """A difference of official numbers, with a plus sign above 0."""
    return f"+{number_text(value)}" if value is not None and value > 0 else number_text(value)


def signed_text(value: float | None) -> str:
    """A difference, with a plus sign above 0."""
    if value is not None and abs(value) < ROUNDING:
        value = 0.0
    return f"+{score_text(value)}" if value is not None and value > 0 else score_text(value)


def _p_text(p: float | None) -> str:
    if p is None:
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _count(pairs: Sequence[PairKey]) -> str:
    return counted(len(pairs), "pair")


def _is(pairs: Sequence[PairKey]) -> str:
    return "is" if len(pairs) == 1 else "are"


def _name(pair: PairKey, show: Show) -> str:
    return f"{show(pair.category, 60)}/{show(pair.pair_id, 100)}"


def _names(pairs: Sequence[PairKey], show: Show) -> str:
    return _list([_name(pair, show) for pair in pairs[:MAX_NAMED]], len(pairs))


def _list(names: Sequence[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
