"""Checks all of a run that can be checked before anything is started: config, data, devices, all mistakes at once."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from protocol.pool import PoolError, check_pool_folder, home
from protocol.sockets import ipc_endpoint
from scheduler.base.shard import Shard
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere
from scheduler.config.checks.environment import Environment
from scheduler.config.devices import nvml_problem, visible_gpus
from scheduler.config.document import Config
from scheduler.config.layout import Layout, presumed_layout, resolve_layout
from scheduler.config.loading import Overrides, load_config
from scheduler.config.models import ModelSection
from scheduler.config.problems import Problem
from scheduler.pool.client import card_of
from scheduler.pool.gpu_room import RoomCheck
from scheduler.protocols.prepared import PreparedProtocol, with_prescribed
from scheduler.run.data_checks import DataChecks
from scheduler.run.options import keeps_images
from scheduler.run.reuse import OtherRun


class Prepared(Struct, frozen=True):
    """A run that can begin. With ``edits`` that were made elsewhere, ``score`` is the only stage. ``reuse`` are runs
    whose results it may take over.

    ``unchecked`` says why the devices were not checked; the layout is then presumed. ``warnings`` are about the GPUs
    and the official files.
    """

    config: Config
    benchmark: Benchmark
    layout: Layout
    stages: tuple[Stage, ...] = BOTH_STAGES
    edits: EditsElsewhere | None = None
    unchecked: str | None = None
    warnings: tuple[str, ...] = ()
    protocol: PreparedProtocol | None = None
    reuse: tuple[OtherRun, ...] = ()

    @property
    def keeps_images(self) -> bool:
        """Whether images stay after scoring."""
        return keeps_images(self.config.evaluation.save_generated_images, self.stages, self.edits)

    def pairs_by_category(self) -> dict[str, int]:
        """Return the number of pairs of each category, bad ones included, in the data's order."""
        result = dict.fromkeys(self.benchmark.categories, 0)
        for item in self.benchmark.items:
            result[item.category] = result.get(item.category, 0) + 1
        return result


def prepare(
    path: Path,
    overrides: Overrides,
    *,
    thorough: bool,
    stages: tuple[Stage, ...] = BOTH_STAGES,
    images: Path | None = None,
    images_layout: str | None = None,
    shard: Shard | None = None,
    progress: Callable[[int], None] | None = None,
) -> Prepared:
    """Load and check all that the stages need; ``thorough`` decodes every source image, and is content with unknown
    devices where there is no NVML. ``images`` is where the edits are, if they were made elsewhere; ``images_layout`` is
    the name of that folder's layout, if it was given. With a ``shard``, only its part of the benchmark is prepared.

    Raises:
        ConfigError: with every problem of the config, the data as a whole, the models and the devices.
    """
    data = DataChecks(
        stages=stages,
        thorough=thorough,
        images=images,
        images_layout=images_layout,
        shard=shard,
        progress=progress,
    )
    unchecked = nvml_problem() if thorough else None
    gpus = visible_gpus() if unchecked is None else None
    room = RoomCheck(gpus or (), stages)
    more = (
        data.data_problems,
        data.official_problems,
        data.images_problems,
        _pool_problems,
        lambda config: _variable_problems(config, stages),
        room,
    )
    config = load_config(path, overrides, Environment(gpus=gpus, stages=stages, more=more))
    if data.protocol is not None:
        config = with_prescribed(config, data.protocol.type)
    layout = presumed_layout(config, stages=stages) if gpus is None else resolve_layout(config, gpus, stages=stages)
    benchmark, edits = data.of_shard(config)
    warnings = (*room.warnings, *(data.protocol.warnings() if data.protocol else ()))
    return Prepared(config, benchmark, layout, stages, edits, unchecked, warnings, data.protocol)


def _pool_problems(config: Config) -> Iterator[Problem]:
    """Why the pool's folder cannot be made or used. Nothing is made."""
    try:
        check_pool_folder(config.pool_name)
        first = "life" if config.pool.transport == "tcp" else "editor-0"
        ipc_endpoint(home() / config.pool_name / f"{first}-{'0' * 12}.sock")
    except (PoolError, ValueError) as error:
        yield Problem("", str(error))


def _variable_problems(config: Config, stages: Sequence[Stage]) -> Iterator[Problem]:
    """Which variables the workers lack: of the pool that is up, or of one that this run launches."""
    sections = {"edit": ("diffusion_model", config.diffusion_model), "score": ("reward_model", config.reward_model)}
    if config.pool.elsewhere:
        return  # they have those of their own machines
    for name, section in (sections[stage] for stage in stages):
        for variable in _variables(section):
            yield from _variable_problem(config, name, section, variable)


def secret_variables(config: Config) -> set[str]:
    """Return the variables of the environment that are meant for the config's models alone, such as a judge's key."""
    return {variable for section in (config.diffusion_model, config.reward_model) for variable in _variables(section)}


def _variables(section: ModelSection) -> Collection[str]:
    needed = section.declaration.variables
    return needed(section.params.model_dump()) if needed is not None else ()


def _variable_problem(config: Config, name: str, section: ModelSection, variable: str) -> Iterator[Problem]:
    message, export = f"the variable {variable}, which {section.type} needs, is not set", f"`export {variable}=...`"
    with contextlib.suppress(PoolError, psutil.Error):  # a pool that cannot be used has its own problem
        card = card_of(config.pool_name)
        if not (os.environ if card is None else psutil.Process(card.pid).environ()).get(variable):
            if card is None:
                yield Problem(name, message, f"set it before the run: {export}")
            else:
                stop = shlex.join(["warmbench", "workers", "stop", "--config", str(config.path)])
                message += f" in pool {config.pool_name}, which has the environment of the shell that started it"
                yield Problem(name, message, f"end the pool, set it, and run again: `{stop} --pool {config.pool_name}`")
