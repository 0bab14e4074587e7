"""The benchmark's own numbers of a run, and whether they can be compared with published ones: from results alone."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from scheduler.protocols.declaration import PROTOCOLS, ItemFacts, JudgedItem, Numbers, Protocol, ProtocolType
from scheduler.report.deviations import deviations
from scheduler.report.dimensions import judged
from scheduler.report.model import AnsweredBy, Official, OfficialJudge, Scale
from scheduler.statistics.bootstrap import bootstrap_intervals
from scheduler.statistics.describe import Interval, mean
from scheduler.store.official_facts import OfficialFacts, official_facts
from scheduler.store.results import Expected, Failure, PairResult
from workers.models.plugins import PluginError

log = logging.getLogger("warmbench")

Judgements = tuple[JudgedItem, ...]
"""One item after each of its judgements: every pass of the first sample, then of the next."""


class OfficialRules(Struct, frozen=True):
    """The protocol of a run. ``type`` and ``protocol`` are None if it is not installed here; ``problem`` says why."""

    facts: OfficialFacts
    type: ProtocolType | None
    protocol: Protocol | None
    problem: str | None = None

    def dimension_names(self, pair: PairResult) -> list[str]:
        """The dimensions that this pair should have, in the protocol's order."""
        if self.type is None or self.protocol is None:
            return []
        try:
            expected = self.protocol.expected(self.item(pair)).values()
        except Exception:  # noqa: BLE001 - of a pair that could not be loaded a protocol may lack anything
            return []
        names = {name for names in expected for name in names}
        return [dimension.name for dimension in self.type.dimensions if dimension.name in names]

    def item(self, pair: PairResult) -> ItemFacts:
        """What the protocol knows of a pair. One that could not be loaded has the language of the run."""
        return ItemFacts(
            category=pair.category,
            pair_id=pair.pair_id,
            instruction=pair.instruction or "",
            reference=pair.reference,
            language=pair.language or self.facts.language,
            task=pair.task,
            subsets=pair.subsets or (),
            images=("source", *(pair.images or ())),
            facts=pair.facts or {},
            loaded=pair.source_sha256 is not None,
        )

    def judgements(self, pair: PairResult, expected: Expected) -> Judgements:
        """The item after each judgement that the run was asked for."""
        item = self.item(pair)
        samples = {sample.sample: sample for sample in pair.samples}
        result = []
        for number in range(expected.samples_per_pair):
            sample = samples.get(number)
            passes = judged(sample) if sample else {}
            scores = {score.pass_: score.score for score in sample.scores} if sample else {}
            for pass_ in range(expected.reward_passes):
                dimensions = {name: value for name, value in passes.get(pass_, {}).items() if value is not None}
                result.append(JudgedItem(item, dimensions, scores.get(pass_)))
        return tuple(result)

    def numbers(self, items: Sequence[Judgements]) -> Numbers:
        """The numbers of the benchmark: the mean of those of each judgement, None where one of them is."""
        if self.protocol is None:
            raise ValueError(self.problem)
        of_each = [self.protocol.numbers(judgements) for judgements in zip(*items, strict=True)]
        if not of_each:
            of_each = [self.protocol.numbers([])]
        first = of_each[0]
        values: dict[str, float | None] = {first.main: None}
        for name in first.values:
            found = [value for numbers in of_each if (value := numbers.values.get(name)) is not None]
            complete = len(found) == len(of_each) and all(map(math.isfinite, found))
            values[name] = mean(found) if complete else None
        sentences = dict.fromkeys(sentence for numbers in of_each for sentence in numbers.deviations)
        return Numbers(values=values, main=first.main, deviations=tuple(sentences))


def official_rules(manifest: Mapping[str, Any]) -> OfficialRules | None:
    """Return the protocol that the manifest names; None without one."""
    facts = official_facts(manifest)
    if facts is None:
        return None
    try:
        kind = PROTOCOLS.get(facts.protocol)
    except (KeyError, PluginError) as error:
        reason = str(error) if isinstance(error, PluginError) else f"there is no protocol {facts.protocol} here"
        return OfficialRules(facts, None, None, f"The numbers cannot be calculated: {reason}.")
    return OfficialRules(facts, kind, kind.make(facts.table, None))


def official(
    rules: OfficialRules,
    pairs: Sequence[PairResult],
    failures: Sequence[Failure],
    expected: Expected,
    *,
    intervals: bool = True,
) -> Official:
    """Return the official block of a report."""
    facts = rules.facts
    numbers, found_intervals, problem = _calculated(rules, pairs, expected, intervals=intervals)
    answered = _answered(pairs)
    without_score = _without_score(pairs, failures)
    found = deviations(
        facts,
        expected=expected,
        num_items=len(pairs),
        first_source_only=0 if facts.all_sources else sum(map(_has_more_sources, pairs)),
        without_score=without_score,
        models=[each.model for each in answered if each.model is not None],
    )
    differences = [problem, *found] if problem else found
    return Official(
        protocol=facts.protocol,
        version=facts.version,
        files=facts.files,
        commit=facts.commit,
        judge=OfficialJudge(
            type=facts.judge.type,
            model=facts.judge.model,
            parameters=facts.judge.parameters,
            prescribed=facts.judge.models,
            answered=answered,
        ),
        main=numbers.main or None,
        numbers=numbers.values,
        intervals=found_intervals,
        num_items=len(pairs),
        num_scored=sum(pair.status == "scored" for pair in pairs),
        num_full=facts.full_items,
        without_score=without_score,
        complete=bool(pairs) and not without_score,
        comparable=bool(pairs) and not differences,
        deviations=(*differences, *numbers.deviations),
        scale=rules.type.scale if rules.type else None,
        dimensions={
            dimension.name: Scale(low=dimension.low, high=dimension.high, better=dimension.better)
            for dimension in (rules.type.dimensions if rules.type else ())
        },
    )


def _calculated(
    rules: OfficialRules, pairs: Sequence[PairResult], expected: Expected, *, intervals: bool
) -> tuple[Numbers, Mapping[str, Interval], str | None]:
    """The numbers with their intervals, or the reason why there are none."""
    if rules.problem is not None:
        return Numbers(values={}, main=""), {}, rules.problem
    items = [rules.judgements(pair, expected) for pair in pairs]
    try:
        numbers = rules.numbers(items)
        cost = expected.samples_per_pair * expected.reward_passes
        found = bootstrap_intervals(items, lambda drawn: rules.numbers(drawn).values, cost=cost) if intervals else {}
    except Exception as error:  # the rules may be a plug-in's, and the rest of the report does not depend on them
        log.exception("The official numbers cannot be calculated")
        reason = f"The numbers cannot be calculated: {type(error).__name__}: {error}."
        return Numbers(values={}, main=""), {}, reason
    return numbers, found, None


def _answered(pairs: Sequence[PairResult]) -> tuple[AnsweredBy, ...]:
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for pair in pairs:
        for sample in pair.samples:
            usages = [answer.usage for answer in sample.answers] + [score.usage for score in sample.scores]
            counts.update((usage.model, usage.system_fingerprint) for usage in usages if usage is not None)
    return answered_by(counts)


def answered_by(counts: Counter[tuple[str | None, str | None]]) -> tuple[AnsweredBy, ...]:
    """The models that answered, with their system fingerprints, by how often; the most frequent first."""
    return tuple(
        AnsweredBy(model=model, system_fingerprint=fingerprint, num_answers=count)
        for (model, fingerprint), count in counts.most_common()
    )


def _has_more_sources(pair: PairResult) -> bool:
    """Whether an editor of this run edited a pair that has several source images."""
    return "source_2" in (pair.images or ()) and any(sample.worker is not None for sample in pair.samples)


def _without_score(pairs: Sequence[PairResult], failures: Sequence[Failure]) -> dict[str, int]:
    """How many items lack a score, by the kind of their first failure, or by their status without one."""
    kinds = {(failure.category, failure.pair_id): failure.kind for failure in reversed(failures)}
    return dict(
        Counter(
            kinds.get((pair.category, pair.pair_id), pair.status) for pair in pairs if pair.status != "scored"
        ).most_common()
    )
