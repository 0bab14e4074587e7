"""``warmbench export --results``: a run's numbers in a format in which results are published."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

from scheduler.base.files import write_atomically
from scheduler.base.text import one_line
from scheduler.commands.arguments import given
from scheduler.config.problems import ConfigError
from scheduler.config.reading.yaml_source import read_source
from scheduler.report.interchange import RESULTS, Facts, ResultsFile, UnsuitableRunError
from scheduler.report.interchange.facts import Relationship
from scheduler.report.saved_run import SavedRun
from scheduler.store.human_scores import readable_human_scores

__all__ = ["RESULTS", "add_results_arguments", "export_results"]


def add_results_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that go with ``--results``."""
    add = parser.add_argument_group("with --results").add_argument
    text = "the benchmark's data set on the hub; eval_results needs it"
    add("--dataset", type=given, metavar="OWNER/NAME", help=text)
    add("--task", type=given, metavar="ID", help="eval_results: the task in the eval.yaml of that data set")
    add("--source-url", type=given, metavar="URL", help="eval_results: where the run's files or a paper can be read")
    text = "every_eval_ever: the model's name, if that of the run is not one on the hub"
    add("--model", type=given, metavar="OWNER/NAME", help=text)
    add("--organization", type=given, metavar="NAME", help="every_eval_ever: who has made this evaluation")
    text = f"every_eval_ever: what that is to the model: {', '.join(get_args(Relationship))} (the default)"
    add("--relationship", choices=get_args(Relationship), default="other", metavar="WHAT", help=text)


def export_results(run: SavedRun, options: argparse.Namespace) -> int:
    """Write the file and return the exit code. Raises ``UnsuitableRunError``; ``OSError``: the run cannot be read."""
    facts = Facts(
        model=options.model,
        dataset=options.dataset,
        task=options.task,
        organization=options.organization,
        relationship=options.relationship,
        source_url=options.source_url,
        prompts=_prompts(run),
    )
    file = RESULTS[options.results](run.report(readable_human_scores(run.path)), facts)
    place = options.to / file.path
    if place.exists():
        raise UnsuitableRunError(f"{one_line(place, 400)} is there already, and nothing is overwritten")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, file.content, sync_folder=True)
    except OSError as error:
        print(f"{one_line(place, 400)} can't be written: {error.strerror or error}", file=sys.stderr)
        return 1
    _show(run, file, place)
    return 0


def _prompts(run: SavedRun) -> str | None:
    try:
        prompts = read_source(run.path / "config.yaml").data.get("prompts")
    except ConfigError:
        return None
    return json.dumps(prompts, ensure_ascii=False) if prompts else None


def _show(run: SavedRun, file: ResultsFile, place: Path) -> None:
    print(f"The results of run {one_line(run.stamp, 200)} written to {one_line(place, 400)}")
    for note in file.notes:
        print(one_line(note, 2000))
