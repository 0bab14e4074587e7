"""Prints which extras of warmbench a run needs, beside ``scheduler``: ``make run`` installs them, and no others.

The arguments are those of ``warmbench run``. For a config with mistakes nothing is printed: the run will name them.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scheduler.benchmark.formats import FORMATS
from scheduler.benchmark.records.table_files import table_suffix
from scheduler.benchmark.records.table_records import PACKAGES
from scheduler.config.checks.packages import extra_of
from scheduler.config.document import Config
from scheduler.config.loading import Overrides, load_config
from scheduler.config.models import ModelSection
from scheduler.config.problems import ConfigError
from scheduler.trackers.declaration import TRACKERS
from workers.models.plugins import PluginError


def needed_extras(config: Config) -> list[str]:
    """Return the names of the extras, sorted."""
    models = (config.diffusion_model, config.reward_model)
    found = {*_of_data(config), *_of_placer(config), *_of_trackers(config)}
    found |= {extra for model in models for extra in _of_model(model)}
    return sorted(found)


def _of_model(section: ModelSection) -> Iterator[str]:
    declaration = section.declaration
    if section.has_environment:
        return
    if section.class_path is not None:
        yield declaration.role  # what a class of the user's own imports is not known
    elif declaration.packages and (extra := extra_of(declaration.packages, declaration.role)):
        yield extra


def _of_data(config: Config) -> Iterator[str]:
    """A format says what it needs; a table needs it whatever the format."""
    data = config.benchmark
    packages: dict[str, str] = {}
    with contextlib.suppress(KeyError, PluginError):
        packages |= FORMATS.get(data.format or "").packages
    if data.data_path is not None and table_suffix(data.data_path) is not None:
        packages |= PACKAGES
    if packages and (extra := extra_of(packages)):
        yield extra


def _of_placer(config: Config) -> Iterator[str]:
    placer = config.pool.declaration
    if placer is not None and placer.packages and (extra := extra_of(placer.packages, placer.name)):
        yield extra


def _of_trackers(config: Config) -> Iterator[str]:
    for name in config.trackers.wanted:
        packages = TRACKERS.get(name).packages
        if packages and (extra := extra_of(packages, name)):
            yield extra


def main(arguments: Sequence[str]) -> None:
    """Print the extras, separated by blanks."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--editor-models", nargs="+")
    options, _ = parser.parse_known_args(arguments)
    try:
        extras = needed_extras(load_config(options.config, Overrides(data=options.data)))
    except ConfigError:
        return
    print(*extras, *(["plots"] if options.editor_models else []))  # a sweep ends with a series


if __name__ == "__main__":
    main(sys.argv[1:])
