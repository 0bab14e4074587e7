"""Compares the official numbers of two runs over the items that both have."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.report.compare.comparison_report import NumberComparison, OfficialComparison
from scheduler.report.model import Report
from scheduler.report.official import Judgements, OfficialRules, official_rules
from scheduler.statistics.bootstrap import bootstrap_intervals
from scheduler.store.official_facts import official_facts
from scheduler.store.results import Expected, PairResult

log = logging.getLogger("warmbench")


class DifferentJudgingError(ValueError):
    """Two runs were judged by different protocols: their scores have nothing in common."""


def judged_by_one_protocol(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise ``DifferentJudgingError`` unless all runs (name, manifest) were judged by one protocol, or all by none."""
    ways = [(name, facts.protocol if (facts := official_facts(manifest)) else None) for name, manifest in runs]
    first, way = ways[0]
    for name, other in ways[1:]:
        if other != way:
            raise DifferentJudgingError(
                f"{first} and {name} can't be compared: {first} was judged by {_way(way)}, {name} by {_way(other)}, "
                "so their scores mean different things. Compare runs that were judged in the same way"
            )


def compare_official(
    first: Report, other: Report, both: Sequence[tuple[PairResult, PairResult]], labels: tuple[str, str]
) -> OfficialComparison | None:
    """Compare the numbers over these pairs, each as both runs have it; None if a run has no protocol."""
    first_rules, other_rules = official_rules(first.provenance), official_rules(other.provenance)
    if first_rules is None or other_rules is None or first_rules.facts.protocol != other_rules.facts.protocol:
        return None
    notes = _notes(first, other, labels)
    main: str | None = None
    numbers: dict[str, NumberComparison] = {}
    if problem := first_rules.problem:
        notes.append(problem)
    elif both:
        try:
            main, numbers = _numbers(first_rules, other_rules, _expected(first), _expected(other), both)
        except Exception as error:  # the rules may be a plug-in's
            log.exception("The official numbers cannot be compared")
            notes.append(f"The numbers cannot be calculated: {type(error).__name__}: {error}.")
    return OfficialComparison(first_rules.facts.protocol, main, len(both), numbers, tuple(notes))


def _numbers(
    first_rules: OfficialRules,
    other_rules: OfficialRules,
    first_expected: Expected,
    other_expected: Expected,
    both: Sequence[tuple[PairResult, PairResult]],
) -> tuple[str, dict[str, NumberComparison]]:
    items = [
        (first_rules.judgements(first, first_expected), other_rules.judgements(other, other_expected))
        for first, other in both
    ]

    def differences(drawn: Sequence[tuple[Judgements, Judgements]]) -> dict[str, float | None]:
        before = first_rules.numbers([first for first, _ in drawn]).values
        now = other_rules.numbers([other for _, other in drawn]).values
        return {name: _difference(value, now.get(name)) for name, value in before.items()}

    before = first_rules.numbers([first for first, _ in items])
    now = other_rules.numbers([other for _, other in items]).values
    intervals = bootstrap_intervals(items, differences, cost=sum(map(len, items[0])))
    return before.main, {
        name: NumberComparison(value, now.get(name), _difference(value, now.get(name)), intervals.get(name))
        for name, value in before.values.items()
    }


def _difference(first: float | None, other: float | None) -> float | None:
    return None if first is None or other is None else other - first


def _expected(report: Report) -> Expected:
    return Expected(report.samples_per_pair, report.reward_passes)


def _notes(first: Report, other: Report, labels: tuple[str, str]) -> list[str]:
    one, two = first.official, other.official
    if one is None or two is None:
        return []
    notes = []
    if one.files != two.files:
        notes.append(
            f"{labels[0]} was judged by version {one.version} of {one.protocol}, {labels[1]} by {two.version}: the "
            "official files differ, so the judge may have been asked in other words."
        )
    if one.judge.model != two.judge.model:
        judges = [judge.model or judge.type for judge in (one.judge, two.judge)]
        notes.append(f"The judge of {labels[0]} is {judges[0]}, that of {labels[1]} is {judges[1]}.")
    return notes


def _way(protocol: str | None) -> str:
    return "the prompts of its config" if protocol is None else f"the protocol {protocol}"
