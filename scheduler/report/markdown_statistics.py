"""The sections of the Markdown report about dimensions, variance, and agreement with scores by people."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.report.figures import METRIC_LABELS, NOTHING, interval_text, metric_text, score_text
from scheduler.report.markdown_text import escape, table
from scheduler.report.model import Agreement, Disagreement, Group, GroupAgreement, Report
from scheduler.statistics.correlations import Correlation
from scheduler.statistics.variance import Component, Variance

MAX_UNMATCHED = 5
_RULES = {"mean": "the mean", "min": "the lowest", "geometric_mean": "the geometric mean"}


def dimension_lines(group: Group, metrics: Sequence[str], protocol: str | None) -> list[str]:
    """A category's dimensions, and how they make a score; no lines without dimensions."""
    if not group.dimensions:
        return []
    rule = "made of its aspects; the run did not record the rule"
    if protocol is not None:
        rule = f"as {escape(protocol, 100)} makes it of its dimensions"
    elif group.combine is not None:
        rule = f"{_RULES.get(group.combine, 'made')} of its aspects (combine: {escape(group.combine, 100)})"
    rows = [
        [escape(name, 100), *(metric_text(statistics, metric) for metric in metrics), str(statistics.num_samples)]
        for name, statistics in group.dimensions.items()
    ]
    heading = "Aspect" if protocol is None else "Dimension"
    headings = [heading, *(METRIC_LABELS[metric] for metric in metrics), "Count"]
    return [f"- Score of an Edit: {rule}", "", *table(headings, rows)]


def variance_lines(variance: Variance | None) -> list[str]:
    """The parts of the variance; no lines if there is one score of each pair."""
    if variance is None:
        return []
    parts = [
        ("Between pairs", variance.between_pairs),
        ("Editing (other seeds)", variance.editing),
        ("Judging (other passes)", variance.judging),
    ]
    whole = sum(part.variance for _, part in parts if part is not None)
    rows = [_variance_row(name, part, whole) for name, part in parts]
    lines = ["## Variance", "", f"- Pairs: {variance.num_pairs}", f"- Samples per Pair: {variance.samples_per_pair}"]
    lines += [f"- Passes per Sample: {variance.reward_passes}", ""]
    lines += table(["Part", "Variance", "Std", "Share"], rows)
    if any(part is not None and part.estimate < 0 for _, part in parts):
        lines += ["", "An estimate below zero is shown as 0: it is too small to distinguish from chance."]
    if variance.se_repeat is not None:
        lines += ["", f"- Standard Error of the Overall Mean, Same Pairs Repeated: {score_text(variance.se_repeat)}"]
    return lines


def _variance_row(name: str, part: Component | None, whole: float) -> list[str]:
    if part is None:
        return [name, NOTHING, NOTHING, NOTHING]
    if part.includes:
        name += f", {' and '.join(part.includes)} included"
    share = f"{part.variance / whole:.0%}" if whole > 0 else NOTHING
    return [name, score_text(part.variance), score_text(part.std), share]


def agreement_lines(report: Report) -> list[str]:
    """How far the reward agrees with people; no lines without scores by people."""
    agreement = report.agreement
    if agreement is None:
        return []
    lines = ["## Agreement with Human Scores", ""]
    lines += [f"- {line}" for line in matching_lines(agreement)]
    if agreement.unmatched:
        lines.append(f"- Not Matched: {_unmatched(agreement)}")
    if raters := agreement.raters:
        between = "no two of them rated enough of the same pairs with different scores"
        if raters.mean_spearman is not None:
            between = f"Spearman {raters.mean_spearman:.2f} on average (pairs of raters: {raters.num_compared})"
        lines.append(f"- Among {raters.num_raters} Raters: {between}")
    rows = [_agreement_row(escape(name, 100), group) for name, group in agreement.categories.items()]
    rows.append(_agreement_row("**Overall**", agreement.overall))
    headings = ["Category", "Pairs", "Spearman", "95% CI", "Kendall tau-b", "95% CI", "Pearson"]
    lines += ["", *table(headings, rows)]
    if agreement.disagreements:
        lines += ["", "Where the two rank pairs most differently (rank 1 is the lowest score):", ""]
        headings = ["Category", "Pair", "Score", "Human", "Rank", "Human Rank", "Difference"]
        lines += table(headings, [_disagreement_row(pair) for pair in agreement.disagreements], left=2)
    return lines


def _disagreement_row(pair: Disagreement) -> list[str]:
    return [
        escape(pair.category, 100),
        escape(pair.pair_id, 200),
        score_text(pair.score),
        score_text(pair.human_score),
        f"{pair.rank:g}",
        f"{pair.human_rank:g}",
        f"{pair.rank_difference:+g}",
    ]


def matching_lines(agreement: Agreement) -> list[str]:
    """How many pairs were compared and how many rows and pairs were not; also for the terminal."""
    lines = [f"Pairs Compared: {agreement.overall.num_pairs}"]
    if agreement.num_unmatched:
        lines.append(f"Rows That Name No Pair or Sample of This Run: {agreement.num_unmatched}")
    if agreement.num_blank:
        lines.append(f"Rows Without a Score: {agreement.num_blank}")
    if agreement.num_unscored:
        lines.append(f"Rated Pairs That the Reward Has Not Scored: {agreement.num_unscored}")
    if agreement.num_unrated:
        lines.append(f"Scored Pairs That Nobody Has Rated: {agreement.num_unrated}")
    return lines


def correlation_text(correlation: Correlation) -> str:
    """The correlation with two decimals."""
    return NOTHING if correlation.value is None else f"{correlation.value:.2f}"


def _unmatched(agreement: Agreement) -> str:
    names = []
    for row in agreement.unmatched[:MAX_UNMATCHED]:
        sample = "" if row.sample is None else f" sample {row.sample}"
        names.append(f"{escape(row.category, 60)}/{escape(row.pair_id, 100)}{sample} (line {row.line})")
    more = agreement.num_unmatched - len(names)
    return ", ".join(names) + (f" and {more} more, which the JSON report has" if more else "")


def _agreement_row(name: str, group: GroupAgreement) -> list[str]:
    return [
        name,
        str(group.num_pairs),
        correlation_text(group.spearman),
        interval_text(group.spearman.ci95),
        correlation_text(group.kendall),
        interval_text(group.kendall.ci95),
        NOTHING if group.pearson is None else f"{group.pearson:.2f}",
    ]
