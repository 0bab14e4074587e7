"""``.eval_results/*.yaml`` of a model's repository on the Hugging Face Hub, which leaderboards of benchmarks collect.

The format: https://huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from protocol import VERSION
from scheduler.base.text import counted
from scheduler.report.interchange.facts import (
    Facts,
    ResultsFile,
    UnsuitableRunError,
    hub_name,
    judge_name,
    refuse_unsuitable,
    started_iso,
)
from scheduler.report.model import Report


def eval_results(report: Report, facts: Facts) -> ResultsFile:
    """Return the entry of the benchmark: its main official number, which must be comparable with published ones; of a
    run without a protocol, the mean score.

    Raises:
        UnsuitableRunError: there is no such number, or the benchmark is not named.
    """
    dataset = hub_name(facts.dataset, "--dataset", "the benchmark")
    if not facts.task:
        raise UnsuitableRunError("--task is missing: the id of the task in the benchmark's eval.yaml")
    refuse_unsuitable(report)
    value, notes = _value(report)
    entry: dict[str, Any] = {"dataset": {"id": dataset, "task_id": facts.task}, "value": value}
    if (date := started_iso(report)) is not None:
        entry["date"] = date
    if facts.source_url is not None:
        entry["source"] = {"url": facts.source_url}
    entry["notes"] = notes
    text = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=120)
    return ResultsFile(
        Path(".eval_results", f"{dataset.replace('/', '--')}.yaml"),
        text.encode(),
        ("The Hub shows it only if the data set is a registered benchmark, with an eval.yaml that has this task.",),
    )


def _value(report: Report) -> tuple[float, str]:
    """Return the number, and what a reader of it must know."""
    official, overall = report.official, report.overall
    if official is None:
        value, name, interval = overall.mean, "mean score", overall.ci95
        how = f"judged by {judge_name(report)}"
    else:
        if not official.comparable:
            reasons = "; ".join(official.deviations)
            raise UnsuitableRunError(f"its official numbers are not comparable with published ones: {reasons}")
        main = official.main or ""
        value, name, interval = official.numbers.get(main), main, official.intervals.get(main)
        how = f"protocol {official.protocol} {official.version[:12]}, judged by {judge_name(report)}"
    if value is None:
        raise UnsuitableRunError("the run has no number to publish")
    between = f", 95% interval {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
    notes = [f"{name} of {counted(overall.num_pairs, 'item')}{between}", how, f"warmbench {VERSION}", *report.notes]
    return float(f"{value:.10g}"), "; ".join(notes)
