"""Whether the GPUs of a pool have room for its models before it is launched, and who else is on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import psutil
from msgspec import Struct, structs

from protocol.devices import gpus_of, share_a_gpu
from protocol.messages import Role
from protocol.pool import home, read_pool_card, read_worker_cards
from scheduler.base.nvml import GpuUse, gpu_use, uuid_of
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.base.text import format_size, one_line
from scheduler.config.checks.driver import installed_torch
from scheduler.config.document import Config
from scheduler.config.layout import Gpu, Layout, LayoutError, resolve_layout
from scheduler.config.models import ModelSection
from scheduler.config.problems import Problem
from scheduler.config.requests import editor_spec, reward_spec
from scheduler.pool.pool_plan import device_bytes

_WORTH_NAMING = 10**9
"""Bytes. A desktop and monitoring tools take less."""


class Occupant(Struct, frozen=True):
    """What else is on a GPU. ``pool`` is the name of the warm pool that it is a worker of."""

    name: str
    used_bytes: int | None
    pool: str | None = None

    def __str__(self) -> str:
        return self.name if self.used_bytes is None else f"{self.name} holds {format_size(self.used_bytes)}"


class GpuState(Struct, frozen=True):
    """One GPU of a layout, such as ``cuda:0``: its memory, what the models need of it, and who else is on it."""

    device: str
    total_bytes: int
    free_bytes: int
    needed_bytes: int
    occupants: tuple[Occupant, ...]


class Findings(Struct, frozen=True):
    """Reasons not to launch the pool, and what the user should know."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def judge(config: Config, layout: Layout, states: Sequence[GpuState]) -> Findings:
    """Decide. A GPU without room for the weights is a problem, others on a GPU are worth a warning. Pure."""
    problems, warnings = [], []
    for state in states:
        others = "; ".join(map(str, state.occupants)) or "processes that can't be seen from here hold the rest"
        pools = sorted({occupant.pool for occupant in state.occupants if occupant.pool is not None})
        commands = [f"`warmbench workers stop --config {config.path} --pool {name}`" for name in pools]
        free = f"{format_size(state.free_bytes)} of {format_size(state.total_bytes)} free"
        if state.total_bytes < state.needed_bytes:
            sizes = f"{format_size(state.total_bytes)}, and the weights take {format_size(state.needed_bytes)}"
            message = f"{state.device} has {sizes}"
            hint = "use a smaller model, or more `gpus_per_worker` (docs/layouts.md)"
            problems.append(Problem(_key(config, layout, state.device), message, hint))
        elif state.free_bytes < state.needed_bytes:
            message = f"{state.device} has {free}, and the weights take {format_size(state.needed_bytes)}: {others}"
            hint = f"stop the pool: {', '.join(commands)}" if commands else "wait until they end, or use another GPU"
            problems.append(Problem(_key(config, layout, state.device), message, hint))
        elif pools or sum(occupant.used_bytes or 0 for occupant in state.occupants) >= _WORTH_NAMING:
            stop = f" - to stop the pool: {', '.join(commands)}" if commands else ""
            warnings.append(f"{state.device} is used by others as well ({free}): {others}{stop}")
    return Findings(tuple(problems), tuple(warnings))


def examine(config: Config, layout: Layout, gpus: Sequence[Gpu]) -> Findings:
    """Look at the GPUs of a pool that is not up. What NVML does not say is not checked."""
    needed = _needed(config, layout, gpus)
    pools = dict(_workers_of_pools(config.pool_name))
    warnings = tuple(_without_cuda(config, layout))
    states = []
    for gpu in gpus:
        device = f"cuda:{gpu.index}"
        use = gpu_use(gpu.uuid) if device in needed else None
        if use is not None:
            occupants = tuple(_occupants(gpu.uuid, use, pools))
            states.append(GpuState(device, use.total_bytes, use.free_bytes, needed[device], occupants))
    findings = judge(config, layout, states)
    return structs.replace(findings, warnings=(*warnings, *findings.warnings))


class RoomCheck:
    """``examine`` as a check of a config's environment. ``warnings`` are those of the last config that was checked."""

    def __init__(self, gpus: Sequence[Gpu], stages: Collection[Stage] = BOTH_STAGES) -> None:
        self.warnings: tuple[str, ...] = ()
        self._gpus = gpus
        self._stages = stages

    def __call__(self, config: Config) -> Sequence[Problem]:
        """Return the problems; none if the pool is up, since a run attaches to it."""
        self.warnings = ()
        if config.pool.elsewhere or not self._gpus or read_pool_card(home() / config.pool_name) is not None:
            return ()
        try:
            layout = resolve_layout(config, self._gpus, stages=self._stages)
        except LayoutError:
            return ()  # reported as such
        findings = examine(config, layout, self._gpus)
        self.warnings = findings.warnings
        return findings.problems


def _needed(config: Config, layout: Layout, gpus: Sequence[Gpu]) -> Mapping[str, int]:
    """The bytes of weights on each GPU: of both models if they are there together, else of the larger one."""
    sections = (
        (config.diffusion_model, editor_spec(config), layout.editors),
        (config.reward_model, reward_spec(config), layout.rewards),
    )
    needed: dict[str, int] = {}
    memory = {f"cuda:{gpu.index}": gpu.memory_bytes for gpu in gpus}
    for section, spec, devices in sections:
        groups = [gpus_of(device) for device in devices] if section.holds_gpu else []
        for group in filter(None, groups):
            sizes = device_bytes(section, spec, [memory.get(gpu, 0) for gpu in group])
            for gpu, size in zip(group, sizes, strict=True):
                before = needed.get(gpu, 0)
                needed[gpu] = max(before, size) if layout.residency == "swap" else before + size
    return needed


def _without_cuda(config: Config, layout: Layout) -> Iterator[str]:
    """A warning if GPUs are to be used with a CPU build of torch, which then fails when a model is loaded."""
    build = installed_torch()
    sections = ((config.diffusion_model, layout.editors), (config.reward_model, layout.rewards))
    devices = {
        device
        for section, named in sections
        if section.declaration.needs == "gpu" and not section.has_environment
        for device in named
        if gpus_of(device)
    }
    if build is not None and build.cuda is None and devices:
        text = f"torch {build.version} is a build without CUDA and can't use {', '.join(sorted(devices))}"
        yield f"{text}: install another, with `make setup TORCH_INDEX=URL` (docs/troubleshooting.md)"


class _PoolWorker(Struct, frozen=True):
    pool: str
    worker_id: str
    uuids: frozenset[str | None]


def _workers_of_pools(own: str) -> Iterator[tuple[int, _PoolWorker]]:
    """The workers of this user's other pools that are up, by pid."""
    folders = sorted(path for path in home().glob("*") if path.is_dir() and path.name != own)
    for folder in folders:
        if read_pool_card(folder) is None:
            continue
        for card in read_worker_cards(folder):
            if gpus_of(card.device):
                uuids = frozenset(map(uuid_of, card.visible_gpu.split(",")))
                yield card.pid, _PoolWorker(folder.name, card.worker_id, uuids)


def _occupants(uuid: str, use: GpuUse, pools: Mapping[int, _PoolWorker]) -> Iterator[Occupant]:
    """Who is on a GPU: its processes, and workers of pools that have no model there at the moment."""
    for process in use.processes:
        worker = pools.get(process.pid)
        if worker is not None:
            name = f"{worker.worker_id} of pool {worker.pool} (pid {process.pid})"
            yield Occupant(name, process.used_bytes, worker.pool)
        else:
            yield Occupant(_process_name(process.pid), process.used_bytes)
    seen = {process.pid for process in use.processes}
    for pid, worker in pools.items():
        if uuid in worker.uuids and pid not in seen:
            yield Occupant(f"{worker.worker_id} of pool {worker.pool} (pid {pid})", None, worker.pool)


def _process_name(pid: int) -> str:
    """The program and its user; no arguments, which may hold secrets."""
    try:
        process = psutil.Process(pid)
        return f"{one_line(process.name(), 60)} of user {one_line(process.username(), 40)} (pid {pid})"
    except psutil.Error:
        return f"a process of another container (pid {pid})"


def _key(config: Config, layout: Layout, device: str) -> str:
    """The key of the config that puts a model on this device."""
    role: Role = "editor" if any(share_a_gpu(device, editor) for editor in layout.editors) else "reward"
    section: ModelSection = config.diffusion_model if role == "editor" else config.reward_model
    name = "diffusion_model" if role == "editor" else "reward_model"
    return f"{name}.params.{'device' if section.params.device_ids is None else 'device_ids'}"
