"""Why a run's numbers cannot be compared with published ones: a sentence for each difference from the authors' way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.base.text import counted
from scheduler.store.official_facts import JudgeFacts, OfficialFacts
from scheduler.store.results import Expected

_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}")
_LONGEST = 100


def deviations(
    facts: OfficialFacts,
    *,
    expected: Expected,
    num_items: int,
    first_source_only: int,
    without_score: Mapping[str, int],
    models: Sequence[str],
) -> list[str]:
    """Return what differs. ``models`` are those that answered, as the judge's server names them. Of
    ``first_source_only`` items the editor did not get all source images.
    """
    return [
        *_files(facts),
        *_judge(facts.judge, models),
        *_parameters(facts.judge),
        *_items(facts, num_items),
        *_sources(first_source_only),
        *_repetitions(expected),
        *_missing(num_items, without_score),
    ]


def _files(facts: OfficialFacts) -> Iterator[str]:
    if facts.tried_commit is None:
        at = f" (commit {facts.commit})" if facts.commit else ""
        yield f"The official files{at} are not those of a version that this protocol was tried with."


def _judge(judge: JudgeFacts, models: Sequence[str]) -> Iterator[str]:
    prescribed = " or ".join(judge.models)
    asked = judge.model or judge.type
    if judge.models and asked not in judge.models:
        yield f"The judge is {asked}; the authors prescribe {prescribed}."
        return
    others = [model for model in dict.fromkeys(models) if not any(_is_model(model, name) for name in judge.models)]
    if others and judge.models:
        yield f"The judge that was asked is {asked}, but {', '.join(others)} answered."
    elif len(set(models)) > 1:
        yield f"The judge changed during the run: {', '.join(dict.fromkeys(models))} answered."


def _is_model(answered: str, name: str) -> bool:
    """Whether a model is the one of this name, or a dated version of it."""
    return answered.startswith(name) and (answered == name or bool(_DATE.fullmatch(answered[len(name) :])))


def _parameters(judge: JudgeFacts) -> Iterator[str]:
    if judge.parameters.get("scoring") == "logits":
        yield "Scores were made of the judge's probabilities (scoring: logits); the authors read its reply."
    if (form := judge.parameters.get("reply_format", "text")) != "text" and "reply_format" not in judge.prescribed:
        yield f"The judge was asked for a reply of the form {form} (reply_format); the authors ask for none."
    further = judge.parameters.get("parameters")
    if isinstance(further, Mapping) and "parameters" not in judge.prescribed:
        yield from (
            f"The judge was asked with {name} {_shown(value)}; the authors leave it out."
            for name, value in further.items()
        )
    for name, value in judge.prescribed.items():
        if name not in judge.parameters:
            if value is not None:
                yield f"A judge of type {judge.type} has no {name}; the authors set it to {_shown(value)}."
        elif judge.parameters[name] != value:
            theirs = "the authors leave it out" if value is None else f"the authors set it to {_shown(value)}"
            yield f"The judge's {name} is {_shown(judge.parameters[name])}; {theirs}."


def _items(facts: OfficialFacts, num_items: int) -> Iterator[str]:
    full = facts.full_items
    if full is None:
        yield "The protocol does not say how many items the full benchmark has in this format and language."
    elif num_items != full:
        selection = [
            facts.shard is not None and f"shard: {facts.shard}",
            facts.limit is not None and f"limit: {facts.limit}",
            facts.categories is not None and f"categories: {', '.join(facts.categories)}",
            facts.subset is not None and f"subset: {facts.subset}",
        ]
        why = ", ".join(part for part in selection if part)
        yield f"The run has {counted(num_items, 'item')} of {full}{f' ({why})' if why else ''}."


def _sources(first_only: int) -> Iterator[str]:
    if first_only:
        several = "an item that has" if first_only == 1 else f"{counted(first_only, 'item')} that have"
        yield f"The editor got only the first source image of {several} several (images: first)."


def _repetitions(expected: Expected) -> Iterator[str]:
    samples, passes = expected.samples_per_pair, expected.reward_passes
    if samples > 1:
        yield f"Numbers are means over {counted(samples, 'edit')} of each item; the authors make one."
    if passes > 1:
        yield f"Numbers are means over {counted(passes, 'judgement')} of each edit; the authors ask once."


def _missing(num_items: int, without_score: Mapping[str, int]) -> Iterator[str]:
    if number := sum(without_score.values()):
        kinds = ", ".join(f"{kind}: {count}" for kind, count in without_score.items())
        verb = "has" if number == 1 else "have"
        yield f"{number} of {counted(num_items, 'item')} {verb} no score ({kinds})."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
