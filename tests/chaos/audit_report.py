"""Checks that a report agrees with the ledger, names every pair once, and counts correctly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.finding import Finding
from tests.chaos.standing import Standing, Unit

Key = tuple[str, str]


def check_report(
    report: Mapping[str, Any],
    keys: Sequence[Key],
    standing: Mapping[Unit, Standing],
    code: int,
    *,
    samples: int,
    passes: int,
) -> list[Finding]:
    """All that is wrong with the report of a run over these pairs."""
    return [
        *_pairs_once(report, keys),
        *_contents(report, standing, samples, passes),
        *_failures(report, standing, passes),
        *_figures(report),
        *_end(report, code),
    ]


def _pairs_once(report: Mapping[str, Any], keys: Sequence[Key]) -> Iterator[Finding]:
    counts = Counter((pair["category"], pair["pair_id"]) for pair in report["pairs"])
    for key in keys:
        if not counts[key]:
            yield Finding("lost", f"{'/'.join(key)} is not in the report")
    for key, count in counts.items():
        if count > 1:
            yield Finding("doubled", f"{'/'.join(key)} is in the report {count} times")
        if key not in keys:
            yield Finding("mixed_up", f"{'/'.join(key)} is in the report and not in the data")


def _contents(
    report: Mapping[str, Any], standing: Mapping[Unit, Standing], samples: int, passes: int
) -> Iterator[Finding]:
    for pair in report["pairs"]:
        name = f"{pair['category']}/{pair['pair_id']}"
        units = [Unit(pair["category"], pair["pair_id"], number) for number in range(samples)]
        states = [standing.get(unit, Standing()) for unit in units]
        status = _status(states, passes)
        if pair["status"] != status:
            yield Finding("miscounted", f"{name} is {pair['status']} in the report, {status} by the ledger")
        told = {sample["sample"]: sample for sample in pair["samples"]}
        means = []
        for unit, state in zip(units, states, strict=True):
            sample = told.pop(unit.sample, None)
            if state.edit is None or state.withdrawn:
                if sample is not None and sample["sha256"] is not None:
                    yield Finding("mixed_up", f"{unit}: the report has an edit that the ledger has not")
                continue
            if sample is None:
                yield Finding("lost", f"{unit}: its edit is not in the report")
                continue
            for name_of, value in (("sha256", state.edit["sha256"]), ("image", state.edit["image"])):
                if sample[name_of] != value:
                    yield Finding("mixed_up", f"{unit}: {name_of} is {sample[name_of]} in the report, not {value}")
            in_report = {score["pass"]: score["score"] for score in sample["scores"]}
            in_ledger = {number: row["score"] for number, row in state.scores.items()}
            if in_report != in_ledger:
                yield Finding("mixed_up", f"{unit}: scores {in_report} in the report, {in_ledger} in the ledger")
            if state.is_scored(passes):
                means.append(math.fsum(in_ledger.values()) / passes)
        if told:
            yield Finding("doubled", f"{name}: samples {sorted(told)} were not asked for")
        score = math.fsum(means) / samples if status == "scored" else None
        if not _same(pair["score"], score):
            yield Finding("miscounted", f"{name}: score {pair['score']} in the report, {score} by the ledger")


def _status(states: Sequence[Standing], passes: int) -> str:
    if all(state.is_scored(passes) for state in states):
        return "scored"
    return "failed" if any(state.failures(passes) for state in states) else "missing"


def _failures(report: Mapping[str, Any], standing: Mapping[Unit, Standing], passes: int) -> Iterator[Finding]:
    def named(row: Mapping[str, Any]) -> tuple[Any, ...]:
        # A source that can't be decoded is the pair's failure: it is reported once, whichever samples found out.
        sample = None if row["stage"] == "load" else row["sample"]
        return (*(row[key] for key in ("category", "pair_id", "stage", "kind")), sample, row["pass"])

    in_ledger = Counter({named(row): 1 for state in standing.values() for row in state.failures(passes)})
    in_report = Counter(named(failure) for failure in report["failures"])
    for failure in in_ledger - in_report:
        yield Finding("lost", f"a failure is not in the report: {failure}")
    for failure in in_report - in_ledger:
        kind = "doubled" if failure in in_ledger else "miscounted"
        yield Finding(kind, f"the report has a failure that does not stand in the ledger: {failure}")  # type: ignore[arg-type]
    for failure in report["failures"]:
        if not failure["message"] or not failure["kind"]:
            yield Finding("lost", f"a failure without a reason: {failure}")


def _figures(report: Mapping[str, Any]) -> Iterator[Finding]:
    members: dict[str, list[Mapping[str, Any]]] = {}
    for pair in report["pairs"]:
        members.setdefault(pair["category"], []).append(pair)
    if list(members) != list(report["category_statistics"]):
        yield Finding("miscounted", f"categories {list(report['category_statistics'])}, pairs of {list(members)}")
    for category, pairs in members.items():
        yield from _group(category, report["category_statistics"].get(category, {}), pairs)
    overall, summary = report["overall"], report["summary"]
    yield from _group("overall", overall, report["pairs"])
    means = [mean for pairs in members.values() if (mean := _mean(pairs)) is not None]
    wanted = {
        "total_pairs": len(report["pairs"]),
        "categories": len(members),
        "overall_mean": overall["mean"],
        "overall_std": overall["std"],
    }
    for name, value in wanted.items():
        if not _same(summary[name], value):
            yield Finding("miscounted", f"summary.{name} is {summary[name]}, expected {value}")
    macro = math.fsum(means) / len(means) if means else None
    if not _same(overall["macro_mean"], macro):
        yield Finding("miscounted", f"overall.macro_mean is {overall['macro_mean']}, expected {macro}")
    methods = sum(len(sample["scores"]) for pair in report["pairs"] if pair["status"] == "scored"
                  for sample in pair["samples"])  # fmt: skip
    if sum(report["provenance"]["scoring_methods"].values()) != methods:
        yield Finding("miscounted", f"scoring methods {report['provenance']['scoring_methods']}, {methods} scores")


def _group(name: str, group: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    scores = sorted(pair["score"] for pair in pairs if pair["score"] is not None)
    states = Counter(pair["status"] for pair in pairs)
    mean = _mean(pairs)
    middle = scores[(len(scores) - 1) // 2 : len(scores) // 2 + 1]
    wanted: dict[str, float | int | None] = {
        "num_pairs": len(pairs),
        "num_samples": len(scores),
        "num_failed": states["failed"],
        "num_missing": states["missing"],
        "num_edited": states["edited"],
        "mean": mean,
        "min": scores[0] if scores else None,
        "max": scores[-1] if scores else None,
        "median": math.fsum(middle) / len(middle) if middle else None,
        "std": None if mean is None else math.sqrt(math.fsum((x - mean) ** 2 for x in scores) / len(scores)),
    }
    for key, value in wanted.items():
        if not _same(group.get(key), value):
            yield Finding("miscounted", f"{name}: {key} is {group.get(key)}, expected {value}")


def _end(report: Mapping[str, Any], code: int) -> Iterator[Finding]:
    done = bool(report["pairs"]) and all(pair["status"] == "scored" for pair in report["pairs"])
    status = "COMPLETE" if done else "INCOMPLETE"
    if report["status"] != status:
        yield Finding("miscounted", f"the report says {report['status']}, its pairs {status}")
    if code != (0 if done else 3):
        yield Finding("miscounted", f"exit code {code} of a run that is {status}")


def _mean(pairs: Sequence[Mapping[str, Any]]) -> float | None:
    scores = [pair["score"] for pair in pairs if pair["score"] is not None]
    return math.fsum(scores) / len(scores) if scores else None


def _same(found: float | None, wanted: float | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
