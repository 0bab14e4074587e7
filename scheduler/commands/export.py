"""``warmbench export``: writes a run's edits into a folder, as the script of a public benchmark reads them, or its
numbers as a file that can be published.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scheduler.base.text import counted, one_line
from scheduler.benchmark import DataError
from scheduler.benchmark.layouts import LAYOUTS, FolderLayout
from scheduler.commands.arguments import given, path
from scheduler.commands.export_results import RESULTS, add_results_arguments, export_results
from scheduler.commands.named_runs import RUN, add_output_dir, with_runs
from scheduler.config.problems import did_you_mean
from scheduler.report.saved_run import SavedRun
from scheduler.store.export import ExportError, ExportPlan, plan_export, sample_folder
from scheduler.store.export_files import Exported, SourceOf, write_export
from scheduler.store.tally import PairTally, read_tallies
from workers.models.plugins import PluginError

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes a run's edits into a folder, named as the script of a public benchmark reads them (`warmbench score "
        "--images` reads them, too), or its numbers as a file that can be published. Nothing is overwritten. Exit "
        "codes: 0 everything is there; 3 some edits are missing; 2 there is no such run, it does not suit the layout "
        "or the format, or other files are in the way, and nothing was written; 1 a file cannot be written."
    )
    parser.add_argument("run", metavar="RUN", help=RUN)
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    text = "export the edits, in one of `warmbench list layouts`"
    what.add_argument("--layout", type=given, metavar="NAME", help=text)
    text = "export the numbers: eval_results (the Hub's .eval_results) or every_eval_ever"
    what.add_argument("--results", choices=RESULTS, metavar="FORMAT", help=text)
    text = "the folder of this model's edits (further samples go into DIR-sample-1, ...), or of the files with results"
    add("--to", type=path, required=True, metavar="DIR", help=text)
    text = "the benchmark, where a layout wants the source images and the data was moved since the run"
    add("--data", type=path, metavar="PATH", help=text)
    add("--link", action="store_true", help="make hard links where possible, instead of copies")
    add_results_arguments(parser)
    add_output_dir(parser, writes=False)


def execute(options: argparse.Namespace) -> int:
    if options.results is not None:
        return with_runs(options, lambda runs: export_results(runs[0], options))
    return _export_edits(options)


def _export_edits(options: argparse.Namespace) -> int:
    def export(runs: list[SavedRun]) -> int:
        run = runs[0]
        layout = _layout(options.layout)
        plan = plan_export(_tallies(run), run.expected, layout)
        if options.to.exists() and not options.to.is_dir():
            raise ExportError(f"{one_line(options.to, 400)} is not a folder")
        sources = _sources(run, options.data) if layout.source_suffix and plan.edits else _no_source
        try:
            done = write_export(plan.edits, run.path, options.to, sources, link=options.link)
        except OSError as error:
            reason = f"{error.strerror or error}: {one_line(error.filename or options.to, 400)}"
            print(f"The edits can't be written: {reason}. The same command goes on.", file=sys.stderr)
            return 1
        if run.is_running():
            print("The run is not over: these are its edits so far.", file=sys.stderr)
        return _show(plan, done, layout, options.to, run)

    return with_runs(options, export)


def _layout(name: str) -> FolderLayout:
    try:
        return LAYOUTS.get(name)
    except KeyError:
        near = did_you_mean(name, LAYOUTS.names())
        hint = near or f"there are {', '.join(LAYOUTS.names())}"
        raise ExportError(f"there is no layout {name!r}; {hint}") from None
    except PluginError as error:
        raise ExportError(str(error)) from error


def _tallies(run: SavedRun) -> Iterator[PairTally]:
    left_out = {tuple(key) for key in run.manifest.get("left_out") or ()}
    tallies = read_tallies(run.rows(), run.expected)
    return (tally for tally in tallies if (tally.category, tally.pair_id) not in left_out)


def _no_source(_: str) -> None:
    return None


def _sources(run: SavedRun, data: Path | None) -> SourceOf:
    """Return the source images of the run's benchmark, which is read again."""
    from scheduler.benchmark.configured import load_configured  # both import pydantic, and --help does not need it
    from scheduler.config.loading import Overrides, load_config

    settings = load_config(run.path / "config.yaml", Overrides(data=data)).benchmark
    try:
        benchmark = load_configured(settings)
    except DataError as error:
        reason = "this layout has the source image beside each edit, and the data cannot be read"
        raise ExportError(f"{reason}: {error}; name it with --data PATH") from error
    return benchmark.source_images()


def _show(plan: ExportPlan, done: Exported, layout: FolderLayout, folder: Path, run: SavedRun) -> int:
    """Say what was done, and return the exit code."""
    edits = counted(done.written, "edit")
    beside = f"; {done.kept} more were there already" if done.kept else ""
    print(f"{edits} of run {one_line(run.stamp, 200)} written to {one_line(folder, 400)}{beside}")
    print(f"Layout {layout.name}. {layout.meaning}")
    for sample in range(1, run.expected.samples_per_pair):
        print(f"Sample {sample}: {one_line(sample_folder(folder, sample), 400)}")
    if done.converted:
        print(f"{counted(done.converted, 'image')} converted to PNG: the script reads no other format")
    missing = [*plan.missing, *done.failed]
    if missing:
        print(f"{counted(len(missing), 'edit')} missing:")
        for unit, reason in missing[:_SHOWN]:
            which = f" (sample {unit.sample})" if run.expected.samples_per_pair > 1 else ""
            print(f"  {one_line(unit.key, 200)}{which}: {one_line(reason, 400)}")
        if len(missing) > _SHOWN:
            print(f"  and {len(missing) - _SHOWN} more")
    return 3 if missing else 0
