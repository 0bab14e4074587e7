"""Loads a config file and reports all of its problems at once.

The steps: read the YAML, add the values of the command line, check each section, then conflicts between values, then
(optionally) files, models and devices. No step is skipped because of problems of an earlier one.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from msgspec import Struct, structs

from scheduler.config.catalog import SECTIONS, hint_for_key
from scheduler.config.checks.environment import Environment, environment_problems
from scheduler.config.checks.thoughts import thoughts_noticed
from scheduler.config.document import Config
from scheduler.config.model_choice import choose, corrected
from scheduler.config.models import EDITOR_FAMILY, REWARD_FAMILY, Family, ModelSectionT
from scheduler.config.pool_section import PoolSection, pool_section_for
from scheduler.config.problems import ConfigError, Location, Problem, did_you_mean, dotted, listing, printable, shown
from scheduler.config.prompts import BUILTIN_SCALE, DEFAULT, CategoryEntry, Prompts, with_builtin
from scheduler.config.reading.yaml_source import YamlSource, read_source
from scheduler.config.sections import BenchmarkSection, EvaluationSection, LoggingSection, SchedulerSection
from scheduler.config.tracker_section import trackers_section_for
from scheduler.config.validation import Checker, Findings
from scheduler.config.values import Section, check_name

SectionT = TypeVar("SectionT", bound=Section)


class Overrides(Struct, frozen=True):
    """Values of the command line that replace those of the file; None keeps the value of the file."""

    data: Path | None = None
    categories: tuple[str, ...] | None = None
    limit: int | None = None
    output_dir: Path | None = None
    editor_model: str | None = None
    pool_name: str | None = None
    residency: Literal["auto", "resident", "swap"] | None = None
    max_failures: int | float | None = None
    log_level: str | None = None
    attached: bool | None = None
    """The pool is elsewhere and up: nothing of it is started or checked here."""


_OVERRIDES: dict[str, tuple[Location, str]] = {
    "data": (("benchmark", "data_path"), "--data"),
    "categories": (("benchmark", "categories"), "--categories"),
    "limit": (("benchmark", "limit"), "--limit"),
    "output_dir": (("evaluation", "output_dir"), "--output-dir"),
    "editor_model": (("diffusion_model", "params", "model_name"), "--editor-model"),
    "pool_name": (("pool", "name"), "--pool"),
    "residency": (("scheduler", "residency"), "--residency"),
    "max_failures": (("scheduler", "max_failures"), "--max-failures"),
    "log_level": (("logging", "level"), "--debug"),
}


class NotHereError(ConfigError):
    """A ``config`` without mistakes that names something that does not exist here, such as a model or a device."""

    def __init__(self, problems: Iterable[Problem], file: Path, config: Config) -> None:
        super().__init__(problems, file)
        self.config = config


def load_config(path: Path, overrides: Overrides | None = None, environment: Environment | None = None) -> Config:
    """Load and check a config; with an ``environment`` also that its files, models and devices exist.

    Raises:
        ConfigError: with every problem of the file, the command line and the environment.
        NotHereError: the same, where all problems are the environment's.
    """
    written, overrides = read_source(path), overrides or Overrides()
    source = _with_overrides(written, overrides)
    findings = Findings(list(source.problems))
    raw = _raw_sections(source, findings)
    config = _build(source, raw, findings)
    if overrides.output_dir is not None:
        config = _with_logs_in_output(config, written)
    config = _with_derived_defaults(config, findings)
    only_of_environment = not findings.problems
    if environment is not None:
        findings.problems.extend(_of_environment(config, environment, source, findings))
        if "score" in environment.stages and (notice := thoughts_noticed(config.reward_model)) is not None:
            config = replace(config, notices=(*config.notices, notice))
    if findings.problems:
        order = {name: index for index, name in enumerate(SECTIONS)}
        by_section = sorted(findings.problems, key=lambda problem: order.get(problem.path.split(".")[0], -1))
        problems = dict.fromkeys(_with_option(problem, source) for problem in by_section)
        raise NotHereError(problems, path, config) if only_of_environment else ConfigError(problems, path)
    return config


def _with_option(problem: Problem, source: YamlSource) -> Problem:
    """Return the problem with the option that gave its value, if there is one."""
    for location, option in source.options.items():
        if re.match(rf"{re.escape(dotted(location))}($|[.\[])", problem.path):
            return structs.replace(problem, option=option)
    return problem


def _of_environment(config: Config, environment: Environment, source: YamlSource, findings: Findings) -> list[Problem]:
    problems = []
    for location, problem in environment_problems(config, environment):
        written = location in source.lines or location in source.options
        guessed = (location[0], "type") in findings.wrong and not written
        if not findings.hides(location) and not guessed:
            problems.append(structs.replace(problem, message=problem.message + source.where(location)))
    return problems


def _with_overrides(source: YamlSource, overrides: Overrides) -> YamlSource:
    data, options = copy.deepcopy(source.data), {}
    if overrides.attached and isinstance(pool := data.get("pool") or {}, dict):
        data["pool"] = {**pool, "placer": "join", "transport": "tcp"}
    for name, value in structs.asdict(overrides).items():
        if value is None or name not in _OVERRIDES:
            continue
        location, option = _OVERRIDES[name]
        holder = data
        for part in location[:-1]:
            if holder.get(str(part)) is None:
                holder[str(part)] = {}
            holder = holder[str(part)]
            if not isinstance(holder, dict):
                break
        else:
            holder[str(location[-1])] = list(value) if isinstance(value, tuple) else value
            options[location] = option
    return structs.replace(source, data=data, options=options)


def _raw_sections(source: YamlSource, findings: Findings) -> dict[str, dict[str, Any]]:
    """Return the sections that are mappings, and report everything else at the top."""
    raw: dict[str, dict[str, Any]] = {}
    for name, value in source.data.items():
        where = source.where((name,))
        if name not in SECTIONS:
            hint = did_you_mean(name, SECTIONS) or hint_for_key(name, "", "")
            message = f"unknown section{where}; known are {listing(list(SECTIONS))}"
            findings.problems.append(Problem(dotted((name,)), message, hint))
        elif value is None:
            continue
        elif not isinstance(value, dict):
            hint = "name each with its keys, as in `trackers: {wandb: {project: ...}}`" if name == "trackers" else None
            findings.refuse((name,), f"must be a mapping, found {shown(value)}{where}", hint)
        else:
            raw[name] = value
    return raw


def _build(source: YamlSource, raw: Mapping[str, dict[str, Any]], findings: Findings) -> Config:
    """Return the config with defaults in place of wrong values."""
    notices: list[str] = []

    def plain(name: str, kind: type[SectionT]) -> SectionT:
        checker = Checker(kind, (name,), source)
        return checker.check(raw.get(name, {}), findings) or kind.model_validate({})

    def model(family: Family[ModelSectionT]) -> ModelSectionT:
        chosen = choose(family, raw.get(family.section, {}), source, findings)
        checker = Checker(chosen.kind, (family.section,), source, chosen.foreign)
        section, renamed = corrected(family, checker.check(chosen.raw, findings) or chosen.kind.model_validate({}))
        notices.extend(chosen.notices)
        notices.extend(renamed)
        return section

    editor, reward = model(EDITOR_FAMILY), model(REWARD_FAMILY)
    evaluation = plain("evaluation", EvaluationSection)
    config = Config(
        benchmark=plain("benchmark", BenchmarkSection),
        diffusion_model=editor,
        reward_model=reward,
        prompts=_prompts(source, raw.get("prompts", {}), findings),
        evaluation=evaluation,
        logging=plain("logging", LoggingSection),
        pool=plain("pool", pool_section_for(raw.get("pool", {}))),
        scheduler=plain("scheduler", SchedulerSection),
        trackers=plain("trackers", trackers_section_for(raw.get("trackers", {}))),
        path=source.file,
        notices=tuple(notices),
    )
    if config.benchmark.protocol is not None:
        if "prompts" in raw:
            message = f"the protocol {config.benchmark.protocol} has its own{source.where(('prompts',))}"
            hint = "remove `prompts`, or `benchmark.protocol`"
            findings.problems.append(Problem("prompts", message, hint))
        return config
    low, high = reward.params.score_range
    if (low, high) != BUILTIN_SCALE and DEFAULT not in raw.get("prompts", {}):
        notice = f"reward_model.params.score_range is [{low:g}, {high:g}], but the built-in prompts ask for 0 to 10"
        config = replace(config, notices=(*config.notices, notice))
    return config


def _with_logs_in_output(config: Config, written: YamlSource) -> Config:
    """Move the logs to the output folder of the command line, if the file has them in its own."""
    raw = written.data.get("evaluation")
    checker = Checker(EvaluationSection, ("evaluation",), written)
    own = checker.check(raw if isinstance(raw, dict) else {}, Findings()) or EvaluationSection.model_validate({})
    if config.logging.log_dir is None:
        return config
    inside = Path(os.path.relpath(config.logging.log_dir, own.output_dir))
    if inside.parts[:1] == ("..",):
        return config
    log_dir = config.evaluation.output_dir / inside
    return replace(config, logging=config.logging.model_copy(update={"log_dir": log_dir}))


def _with_derived_defaults(config: Config, findings: Findings) -> Config:
    """Set what a section takes from another one, or from the name of the file."""
    logging = config.logging.model_copy(update={"log_dir": config.log_dir})
    pool = config.pool
    if pool.name is None:
        checked = Checker(PoolSection, ("pool",), YamlSource(config.path, {})).check(
            {"name": config.path.stem}, named := Findings()
        )
        if not findings.hides(("pool", "name")):
            hint = "write `pool: {name: ...}`, or give --pool"
            findings.problems.extend(
                Problem(problem.path, f"the file's name is no name for a pool: {problem.message}", hint)
                for problem in named.problems
            )
        pool = pool.model_copy(update={"name": checked.name if checked else None})
    return replace(config, logging=logging, pool=pool.with_transport())


def _prompts(source: YamlSource, raw: Mapping[str, Any], findings: Findings) -> Prompts:
    own: dict[str, CategoryEntry] = {}
    for category, entry in raw.items():
        at: Location = ("prompts", category)
        try:
            check_name(category)
        except ValueError as error:
            message = f"the category's name {printable(str(error))}{source.where(at)}"
            findings.problems.append(Problem(dotted(at), message))
        if not isinstance(entry, dict):
            message = f"must be a mapping with system_prompt and user_prompt_template, found {shown(entry)}"
            findings.problems.append(Problem(dotted(at), message + source.where(at)))
        elif checked := Checker(CategoryEntry, at, source).check(entry, findings):
            own[category] = checked
    return with_builtin(own)
