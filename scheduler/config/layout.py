"""Assigns a device to each worker, from the config and the visible GPUs alone.

``cuda:N`` is the N-th visible GPU. Each ``cpu`` entry is a device of its own. Only equal CUDA indices are shared, and
models that share a device take turns on it (``swap``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.base.text import counted
from scheduler.config.document import Config
from scheduler.config.models import ModelSection
from scheduler.config.problems import ConfigError, Location, Problem, dotted
from scheduler.config.values import DeviceId


@dataclass(frozen=True)
class Gpu:
    """A visible GPU; ``index`` is that of CUDA, ``memory_bytes`` its whole memory (0 if unknown)."""

    index: int
    name: str
    memory_bytes: int
    uuid: str = ""


@dataclass(frozen=True)
class Layout:
    """One device per worker process, ``cuda:N`` or ``cpu``; ``swap`` means that the stages take turns.

    Workers elsewhere have a ``gpu`` of their own, which is named once they have joined, or a ``cpu``. ``notices`` are
    lines for the user about devices that no key names.
    """

    editors: tuple[str, ...]
    rewards: tuple[str, ...]
    residency: Literal["resident", "swap"]
    notices: tuple[str, ...] = field(default=(), compare=False)


class LayoutError(ConfigError):
    """Devices of the config that do not exist; ``located`` has the key of each problem."""

    def __init__(self, located: Sequence[tuple[Location, Problem]]) -> None:
        super().__init__([problem for _, problem in located])
        self.located = tuple(located)


def resolve_layout(config: Config, gpus: Sequence[Gpu], *, stages: Collection[Stage] = BOTH_STAGES) -> Layout:
    """Return the devices of all workers. A stage that is not run gets none; one that is run alone takes no turns.

    A reward with ``device: auto`` that scores alone gets the device that it would get beside the editors.

    Where a placer starts workers elsewhere, ``gpus`` do not count.

    Raises:
        LayoutError: a device that the config names, or needs, is not among ``gpus``. (Models that use no GPU may name
            any.)
    """
    if config.pool.elsewhere:
        return _layout_elsewhere(config, stages)
    visible = [gpu.index for gpu in gpus]
    missing: list[tuple[Location, Problem]] = []
    editors: tuple[DeviceId, ...] | None = ()
    rewards: tuple[DeviceId, ...] | None = ()
    beside: tuple[DeviceId, ...] = ()
    if "edit" in stages:
        at, editors = _wanted_by_editor(config, visible)
        missing += _not_there(at, editors, visible) if config.diffusion_model.holds_gpu else []
    else:
        beside = _wanted_by_editor(config, visible)[1] or ()
    if "score" in stages:
        at, rewards = _wanted_by_reward(config)
        missing += _not_there(at, rewards, visible) if config.reward_model.holds_gpu else []
    if editors is None and not visible:
        at = ("diffusion_model", "params", "device_ids")
        missing.append((at, Problem(dotted(at), "is left out, but no GPU is visible", "write `device_ids: [cpu]`")))
    if missing:
        raise LayoutError(missing)
    if editors is None:
        editors, rewards = _share_out(visible, rewards)
    notices: tuple[str, ...] = ()
    if rewards is None:
        rewards, notices = _automatic(config, visible, editors or beside)
    residency = config.scheduler.residency
    if not (editors and rewards):
        residency = "resident"
    elif residency == "auto":
        residency = "swap" if _indices(editors) & _indices(rewards) else "resident"
    return Layout(tuple(map(_device_name, editors)), tuple(map(_device_name, rewards)), residency, notices)


def presumed_layout(config: Config, *, stages: Collection[Stage] = BOTH_STAGES) -> Layout:
    """Return the layout if the GPUs that the config names exist and there are no others.

    It is for where the GPUs cannot be listed. What depends on all visible GPUs has no devices then.
    """
    editors, rewards = _wanted_by_editor(config, ())[1], _wanted_by_reward(config)[1]
    if config.pool.elsewhere:
        return resolve_layout(config, (), stages=stages)
    if editors is None:
        named = (rewards or ()) if "score" in stages else ()
        return Layout((), tuple(map(_device_name, named)), "resident")
    indices = {index for index in (*editors, *(rewards or ())) if index != "cpu"}
    return resolve_layout(config, [Gpu(index, "", 0) for index in sorted(indices)], stages=stages)


def _layout_elsewhere(config: Config, stages: Collection[Stage]) -> Layout:
    """The workers that a placer starts on other machines."""
    problems: list[tuple[Location, Problem]] = []
    roles: dict[Stage, tuple[str, ...]] = {}
    models: tuple[tuple[Stage, str, str, ModelSection], ...] = (
        ("edit", "editors", "diffusion_model", config.diffusion_model),
        ("score", "rewards", "reward_model", config.reward_model),
    )
    for stage, key, name, section in models:
        count, named = getattr(config.pool, key), section.params.device_ids
        if count is not None and named is not None and count != len(named):
            at = ("pool", key)
            message = f"is {count}, but {name}.params.device_ids has {counted(len(named), 'device')}"
            problems.append((at, Problem(dotted(at), message, "leave one of the two out")))
        roles[stage] = tuple(map(_kind, named)) if named is not None else (_unnamed_kind(section),) * (count or 1)
    if problems:
        raise LayoutError(problems)
    editors, rewards = (roles[stage] if stage in stages else () for stage in BOTH_STAGES)
    swap = config.scheduler.residency == "swap" and editors and rewards
    return Layout(editors, rewards, "swap" if swap else "resident")


def _kind(device: DeviceId) -> str:
    return "cpu" if device == "cpu" else "gpu"


def _unnamed_kind(section: ModelSection) -> str:
    device = section.params.device
    if device in {None, "auto"}:
        return "gpu" if section.holds_gpu else "cpu"
    return "cpu" if device == "cpu" else "gpu"


def _wanted_by_editor(config: Config, visible: Sequence[int]) -> tuple[Location, tuple[DeviceId, ...] | None]:
    """The key that decides, and the devices that it names; None for all GPUs but the reward's."""
    section, params = config.diffusion_model, config.diffusion_model.params
    base: Location = ("diffusion_model", "params")
    if params.device_ids is not None:
        return (*base, "device_ids"), params.device_ids
    if section.declaration.workers_key is not None:
        key = section.declaration.workers_key
        return (*base, key), ("cpu",) * dict(params)[key]
    device = params.device
    if device is None and section.declaration.needs == "gpu":
        return (*base, "device_ids"), None
    if device is None:
        device = "cuda" if section.holds_gpu and visible else "cpu"
    return (*base, "device"), (_device_id(device),)


def _wanted_by_reward(config: Config) -> tuple[Location, tuple[DeviceId, ...] | None]:
    """The same for the reward; None for ``auto``."""
    params = config.reward_model.params
    base: Location = ("reward_model", "params")
    if params.device_ids is not None:
        return (*base, "device_ids"), params.device_ids
    return (*base, "device"), None if params.device in {None, "auto"} else (_device_id(params.device or ""),)


def _not_there(
    at: Location, wanted: Sequence[DeviceId] | None, visible: Sequence[int]
) -> list[tuple[Location, Problem]]:
    there = f"visible are {', '.join(f'cuda:{index}' for index in visible)}" if visible else "no GPU is visible"
    hint = "`cpu` works everywhere; does CUDA_VISIBLE_DEVICES hide it?"
    absent = [index for index in wanted or () if index != "cpu" and index not in visible]
    return [(at, Problem(dotted(at), f"there is no cuda:{index}: {there}", hint)) for index in absent]


def _share_out(
    visible: Sequence[int], rewards: tuple[DeviceId, ...] | None
) -> tuple[tuple[DeviceId, ...], tuple[DeviceId, ...] | None]:
    """All GPUs but the reward's for the editors; if that leaves none, they share."""
    if rewards is None and len(visible) > 1:
        rewards = (visible[-1],)
    left = tuple(index for index in visible if index not in (rewards or ()))
    return left or tuple(visible), rewards


def _automatic(
    config: Config, visible: Sequence[int], editors: Sequence[DeviceId]
) -> tuple[tuple[DeviceId, ...], tuple[str, ...]]:
    """The devices of ``device: auto``, with a notice where they are the choice of this function.

    Beside an editor on one device that device; else the lowest visible GPU that no editor uses, else each GPU of the
    editors, and without GPUs the CPU.
    """
    params, real = config.diffusion_model.params, config.reward_model.holds_gpu
    shared = tuple(index for index in editors if index != "cpu" and (not real or index in visible))
    if params.device_ids is None and (shared or params.device == "cpu"):
        return shared or ("cpu",), ()
    free = [index for index in visible if index not in editors]
    if not free:
        return shared or ("cpu",), ()
    notice = f"reward_model.params.device: auto is cuda:{free[0]}, the lowest visible GPU that no editor uses"
    return (free[0],), (notice,)


def _indices(devices: Sequence[DeviceId]) -> set[DeviceId]:
    return {device for device in devices if device != "cpu"}


def _device_id(name: str) -> DeviceId:
    return "cpu" if name == "cpu" else int(name.partition(":")[2] or 0)


def _device_name(device: DeviceId) -> str:
    return "cpu" if device == "cpu" else f"cuda:{device}"
