"""Checks that what a config names exists: files, models, devices, environments, folders to write to.

Each check looks at one thing, so one that fails hides none. They work on any config, also on the rest of a config with
mistakes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.config.checks.class_paths import missing_class
from scheduler.config.checks.driver import driver_problem, installed_torch
from scheduler.config.checks.model_lookup import missing_model
from scheduler.config.checks.optimization_checks import refused_loras, refused_optimizations, refused_quantization
from scheduler.config.checks.packages import missing_for_placer, missing_for_tracker, missing_packages
from scheduler.config.checks.pipeline_checks import refused_arguments, refused_transformer
from scheduler.config.checks.server_program import missing_program
from scheduler.config.checks.source_images import TAKE_THE_FIRST, several_images_refused
from scheduler.config.checks.thoughts import thoughts_refused
from scheduler.config.checks.worker_environment import worker_environment_problems
from scheduler.config.document import Config
from scheduler.config.layout import Gpu, LayoutError, resolve_layout
from scheduler.config.models import FAMILIES, ModelSection
from scheduler.config.problems import Location, Problem, did_you_mean, dotted, listing, nearest, printable, shown
from scheduler.trackers.declaration import TRACKERS
from workers.models.thoughts import USE_GENERATE

Found = Iterator[tuple[Location, Problem]]


class Environment(Struct, frozen=True):
    """What to check a config against.

    ``gpus`` are the visible ones; with None nobody can tell, and devices are not checked. ``data``: whether a benchmark
    is needed. ``more``: further checks; each gets the config (with defaults in place of wrong values) and returns
    problems, such as those of the data. ``hub``: the address of the hub.
    """

    gpus: tuple[Gpu, ...] | None = ()
    stages: tuple[Stage, ...] = BOTH_STAGES
    data: bool = True
    more: tuple[Callable[[Config], Iterable[Problem]], ...] = ()
    hub: str | None = None


def environment_problems(config: Config, environment: Environment) -> Found:
    """The problems of all that the config names, each with its key. Asking the hub may take a few seconds."""
    if environment.data:
        yield from _data(config)
    if config.pool.elsewhere:
        yield from _devices_elsewhere(config, environment.stages)
    else:
        yield from _workers_here(config, environment)
    yield from tracker_problems(config)
    yield from _places_to_write(config)
    for check in environment.more:
        for problem in check(config):
            yield tuple(problem.path.partition("[")[0].split(".")), problem


def _devices_elsewhere(config: Config, stages: Sequence[Stage]) -> Found:
    """What workers on other machines find there, only they can tell."""
    placer = config.pool.declaration
    if placer is not None and (lacking := missing_for_placer(placer)):
        yield _at("pool", "placer", message=lacking[0], hint=lacking[1])
    try:
        resolve_layout(config, (), stages=stages)
    except LayoutError as error:
        yield from error.located


def tracker_problems(config: Config) -> Found:
    """What the trackers of the config lack here."""
    for name in config.trackers.wanted:
        if lacking := missing_for_tracker(TRACKERS.get(name)):
            yield _at("trackers", name, message=lacking[0], hint=lacking[1])


def _workers_here(config: Config, environment: Environment) -> Found:
    if "edit" in environment.stages:
        yield from _model("diffusion_model", config.diffusion_model, environment.hub)
        yield from _optimizations(config)
    if "score" in environment.stages:
        yield from _model("reward_model", config.reward_model, environment.hub)
    yield from _driver(config, environment.stages)
    if environment.gpus is not None:
        try:
            resolve_layout(config, environment.gpus, stages=environment.stages)
        except LayoutError as error:
            yield from error.located


def category_problems(config: Config, available: Sequence[str]) -> list[Problem]:
    """The categories that the config asks for and that are not ``available`` in the data."""
    wanted = config.benchmark.categories or ()
    message = "the data has no category {}; it has {}"
    return [
        Problem(
            "benchmark.categories",
            message.format(shown(name), listing(available)),
            _several(name, available) or did_you_mean(name, available),
        )
        for name in wanted
        if name not in available
    ]


def _several(name: str, available: Sequence[str]) -> str | None:
    """The hint for several categories that were written as one name."""
    parts = [part for part in (text.strip() for text in re.split("[,，、;；]", name)) if part]
    if len(parts) < 2 or not set(parts) & set(available):
        return None
    words = " ".join(f'"{part}"' if " " in part else part for part in parts)
    return f"separate categories with spaces: `--categories {printable(words)}`; in a file, write a list"


def _at(*location: str | int, message: str, hint: str | None = None) -> tuple[Location, Problem]:
    return location, Problem(dotted(location), message, hint)


def _data(config: Config) -> Found:
    at = partial(_at, "benchmark", "data_path")
    path = config.benchmark.data_path
    if path is None:
        yield at(message="is missing: no benchmark is given", hint="write it, or give --data")
    elif (error := _cannot_look(path)) is not None:
        yield at(message=f"{printable(str(path))} can't be looked at: {error}")
    elif not path.exists():
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()]) if path.parent.is_dir() else None
        hint = f"did you mean `{path.parent / near}`?" if near else None
        if "$" in str(path):
            hint = "variables are not filled in; `--data` takes what the shell makes of them"
        yield at(message=f"there is no file {printable(str(path.absolute()), 400)}", hint=hint)
    elif not os.access(path, os.R_OK):
        yield at(message=f"{path} can't be read: no permission")


def _cannot_look(path: Path) -> str | None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error.strerror
    return None


def _model(name: str, section: ModelSection, hub: str | None) -> Found:
    class_path, model_name = section.class_path, section.params.model_name
    entry_file = section.declaration.entry_file if class_path is None else None
    target = class_path or section.declaration.target.replace(":", ".")
    if not section.has_environment and not _is_built_in(section) and (missing := missing_class(target)):
        key = "class_path" if class_path else "type"
        yield _at(name, key, message=f"{missing[0]} (for {target})", hint=missing[1])
    elif lacking := missing_packages(section):
        yield _at(name, "type", message=lacking[0], hint=lacking[1])
    if entry_file and model_name and (absent := missing_model(model_name, entry_file, endpoint=hub)):
        yield _at(name, "params", "model_name", message=absent.message, hint=absent.hint)
    elif (thoughts := thoughts_refused(section)) is not None:
        yield _at(name, "params", "scoring", message=thoughts, hint=USE_GENERATE)
    elif (reason := several_images_refused(section)) is not None:
        yield _at(name, "params", "images", message=reason, hint=TAKE_THE_FIRST)
    elif (reason := refused_transformer(section)) is not None:
        yield _at(name, "params", "transformer_path", message=reason, hint="name the folder with its config.json")
    else:
        for refusal in refused_arguments(section):
            yield _at(name, "params", *refusal.key, message=refusal.message, hint=refusal.hint)
    if class_path is None and not section.has_environment and (unfit := refused_quantization(section)):
        yield _at(name, "params", "quantization", message=unfit[0], hint=unfit[1])
    if program := missing_program(section):
        yield _at(name, "params", "server", "command", message=program[0], hint=program[1])
    for problem in worker_environment_problems(name, section):
        yield tuple(problem.path.split(".")), problem


def _is_built_in(section: ModelSection) -> bool:
    model = section.declaration
    return section.class_path is None and FAMILIES[model.role].registry.package(model.name) is None


def _optimizations(config: Config) -> Found:
    section = config.diffusion_model
    if section.class_path is None and not section.has_environment:
        for name, message, hint in refused_optimizations(config):
            yield _at("diffusion_model", "params", "optimizations", name, message=message, hint=hint)
        for number, message, hint in refused_loras(config):
            yield _at("diffusion_model", "params", "lora", number, "path", message=message, hint=hint)


def _driver(config: Config, stages: Sequence[Stage]) -> Found:
    """The fault of this environment's torch, once. Other environments are examined by their own Python."""
    named = (("edit", "diffusion_model", config.diffusion_model), ("score", "reward_model", config.reward_model))
    for stage, name, section in named:
        if stage in stages and not section.has_environment and (fault := driver_problem(section, installed_torch())):
            yield _at(name, "params", "device", message=fault[0], hint=fault[1])
            return


def _places_to_write(config: Config) -> Found:
    places: list[tuple[tuple[str, str], Path | None]] = [
        (("evaluation", "output_dir"), config.evaluation.output_dir),
        (("evaluation", "output_dir"), config.evaluation.output_dir / "runs"),
        (("evaluation", "image_output_dir"), config.evaluation.image_output_dir),
        (("logging", "log_dir"), config.log_dir if config.logging.save_to_file else None),
    ]
    reported: list[Path] = []
    for location, folder in places:
        if folder is None or any(folder.is_relative_to(other) for other in reported):
            continue
        if reason := _cannot_write(folder):
            reported.append(folder)
            yield _at(*location, message=f"{folder} {reason}", hint="name a folder that you may write to")


def _cannot_write(folder: Path) -> str | None:
    """Why a folder can't be written to, or made; tested with a file without a name, which leaves nothing."""
    try:
        there = folder.absolute()
        while not os.path.lexists(there):
            there = there.parent
        if not there.is_dir():
            what = "is a file, not a folder" if there.exists() else "is a link that leads nowhere"
            return what if there == folder.absolute() else f"can't be made: {there} {what}"
        with tempfile.TemporaryFile(dir=there):
            return None
    except (OSError, ValueError) as error:
        return f"can't be written to: {getattr(error, 'strerror', None) or error}"
