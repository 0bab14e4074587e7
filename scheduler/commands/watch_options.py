"""What the command line and the config of ``warmbench watch`` ask for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scheduler.commands.evaluation import options_of
from scheduler.config.checks.model_lookup import model_file
from scheduler.config.document import Config
from scheduler.report.series.gate import GateRule
from scheduler.run.watch_order import Watch, WatchRules
from scheduler.run.watched_folder import WatchedFolder


def entry_file_of(config: Config) -> str | None:
    """The file without which a folder is no model of the editor; None if it takes any folder."""
    section = config.diffusion_model
    return section.declaration.entry_file if section.class_path is None else None


def base_model(config: Config) -> Path | None:
    """The folder of the model that the config names, if it is on this machine."""
    name, entry_file = config.diffusion_model.params.model_name, entry_file_of(config)
    entry = model_file(name, entry_file) if name and entry_file else None
    return entry.parent if entry is not None and entry.is_file() else None


def watched_folder(options: argparse.Namespace, config: Config) -> WatchedFolder:
    """What is watched."""
    output_dir = config.evaluation.output_dir
    return WatchedFolder(options.folder, entry_file_of(config), output_dir=output_dir, base=base_model(config))


def rules_of(options: argparse.Namespace) -> WatchRules:
    """Which checkpoints are evaluated, and when."""
    return WatchRules(
        settle=options.settle,
        broken_after=options.broken_after,
        newest_first=options.order == "newest",
        every=options.every,
        from_step=options.from_step,
        until=options.until,
        once=options.once,
    )


def of_first_checkpoint(options: argparse.Namespace, folder: WatchedFolder) -> argparse.Namespace:
    """Return the options of a run of the first whole checkpoint, if there is one."""
    try:
        ready = Watch(rules_of(options)).look(folder.look({}), 0.0).ready
    except OSError:
        return options
    whole = [one for one in ready if not one.trained]
    return options_of(options, os.path.normpath(folder.path / whole[0].path), None, None) if whole else options


def gate_rule(options: argparse.Namespace) -> GateRule | None:
    """What ``--fail-if-worse`` asks for."""
    return None if options.fail_if_worse is None else GateRule(options.fail_if_worse, options.against)


def run_arguments(options: argparse.Namespace) -> list[str]:
    """The command line of a run, made from that of the watch: without the folder."""
    words = list(options.given[1:])
    places = [number for number, word in enumerate(words) if Path(word) == options.folder]
    if places:
        del words[0 if places[0] == 0 else places[-1]]
    return ["run", *words]
