"""Assigns a device to each worker, from the config and the visible GPUs alone.

``cuda:N`` is the N-th visible GPU, ``cuda:0+1`` is two of them, over which one worker's model is spread. Each ``cpu``
entry is a device of its own. Only equal CUDA indices are shared, and models that share a GPU take turns on it
(``swap``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from protocol.devices import gpu_group, gpus_elsewhere
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.base.text import counted
from scheduler.config.document import Config
from scheduler.config.models import ModelSection
from scheduler.config.problems import ConfigError, Location, Problem, dotted
from scheduler.config.values import DeviceId

Place = tuple[int, ...]
"""The GPUs of one worker, by their indices; none for the CPU."""


class Gpu(Struct, frozen=True):
    """A visible GPU; ``index`` is that of CUDA, ``memory_bytes`` its whole memory (0 if unknown)."""

    index: int
    name: str
    memory_bytes: int
    uuid: str = ""


@dataclass(frozen=True)
class Layout:
    """One device per worker process, ``cuda:N``, ``cuda:0+1`` or ``cpu``; ``swap`` means that the stages take turns.

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
        LayoutError: a device that the config names, or needs, is not among ``gpus``, or these cannot be grouped as it
            asks for. (Models that use no GPU may name any.)
    """
    if config.pool.elsewhere:
        return _layout_elsewhere(config, stages)
    visible = [gpu.index for gpu in gpus]
    missing: list[tuple[Location, Problem]] = []
    editors: tuple[Place, ...] | None = ()
    rewards: tuple[Place, ...] | None = ()
    beside: tuple[Place, ...] = ()
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
        editors, rewards = _share_out(config, visible, rewards)
    notices: tuple[str, ...] = ()
    if rewards is None:
        rewards, notices = _automatic(config, visible, editors or beside)
    residency = config.scheduler.residency
    if not (editors and rewards):
        residency = "resident"
    elif residency == "auto":
        residency = "swap" if {*_indices(editors)} & {*_indices(rewards)} else "resident"
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
    indices = {*_indices(editors), *_indices(rewards or ())}
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
        count, named, size = getattr(config.pool, key), section.params.device_ids, section.params.group_size
        places = _grouped(named, size) if named is not None else None
        if count is not None and places is not None and count != len(places):
            at = ("pool", key)
            workers = counted(len(places), "device" if size == 1 else "group")
            message = f"is {count}, but {name}.params.device_ids has {workers}{'' if size == 1 else f' of {size} GPUs'}"
            problems.append((at, Problem(dotted(at), message, "leave one of the two out")))
        problems += _too_few_asked_for(config, key.removesuffix("s"), name, size)
        gpus = [len(place) for place in places] if places is not None else [_unnamed_gpus(section)] * (count or 1)
        roles[stage] = tuple(map(gpus_elsewhere, gpus))
    if problems:
        raise LayoutError(problems)
    editors, rewards = (roles[stage] if stage in stages else () for stage in BOTH_STAGES)
    swap = config.scheduler.residency == "swap" and editors and rewards
    return Layout(editors, rewards, "swap" if swap else "resident")


def _too_few_asked_for(config: Config, role: str, section: str, size: int) -> list[tuple[Location, Problem]]:
    """A problem if the engine is to give each worker of the role fewer GPUs than its model is spread over."""
    options = config.pool.placer_options.get(role)
    gpus = options.get("gpus") if isinstance(options, Mapping) else None
    if size == 1 or not isinstance(gpus, int | float) or gpus >= size:
        return []
    at: Location = (section, "params", "gpus_per_worker")
    asked = f"pool.{config.pool.placer}.{role}.gpus"
    return [(at, Problem(dotted(at), f"is {size}, but {asked} is {gpus:g}", f"leave {asked} out"))]


def _unnamed_gpus(section: ModelSection) -> int:
    """How many GPUs each worker takes that is somewhere."""
    device = section.params.device
    on_gpu = section.holds_gpu if device in {None, "auto"} else device != "cpu"
    return section.params.group_size if on_gpu else 0


def _wanted_by_editor(config: Config, visible: Sequence[int]) -> tuple[Location, tuple[Place, ...] | None]:
    """The key that decides, and the places that it names; None for all GPUs but the reward's."""
    section, params = config.diffusion_model, config.diffusion_model.params
    base: Location = ("diffusion_model", "params")
    if params.device_ids is not None:
        return (*base, "device_ids"), _grouped(params.device_ids, params.group_size)
    if section.declaration.workers_key is not None:
        key = section.declaration.workers_key
        return (*base, key), ((),) * dict(params)[key]
    device = params.device
    if device is None and section.declaration.needs == "gpu":
        return (*base, "device_ids"), None
    if device is None:
        device = "cuda" if section.holds_gpu and visible else "cpu"
    return (*base, "device"), (_place(device, params.group_size),)


def _wanted_by_reward(config: Config) -> tuple[Location, tuple[Place, ...] | None]:
    """The same for the reward; None for ``auto``."""
    params = config.reward_model.params
    base: Location = ("reward_model", "params")
    if params.device_ids is not None:
        return (*base, "device_ids"), _grouped(params.device_ids, params.group_size)
    if params.device in {None, "auto"}:
        return (*base, "device"), None
    return (*base, "device"), (_place(params.device or "", params.group_size),)


def _not_there(at: Location, wanted: Sequence[Place] | None, visible: Sequence[int]) -> list[tuple[Location, Problem]]:
    there = f"visible are {', '.join(f'cuda:{index}' for index in visible)}" if visible else "no GPU is visible"
    hint = "`cpu` works everywhere; does CUDA_VISIBLE_DEVICES hide it?"
    absent = [index for index in _indices(wanted or ()) if index not in visible]
    return [(at, Problem(dotted(at), f"there is no cuda:{index}: {there}", hint)) for index in absent]


def _share_out(
    config: Config, visible: Sequence[int], rewards: tuple[Place, ...] | None
) -> tuple[tuple[Place, ...], tuple[Place, ...] | None]:
    """All GPUs but the reward's for the editors; if that leaves too few for one, they share.

    Raises:
        LayoutError: they cannot be grouped.
    """
    size, of_reward = config.diffusion_model.params.group_size, config.reward_model.params.group_size
    if rewards is None and len(visible) >= size + of_reward:
        rewards = (tuple(visible[-of_reward:]),)
    left = tuple(index for index in visible if index not in _indices(rewards or ()))
    if len(left) < size:
        left = tuple(visible)
    return _groups_of(left, size, "diffusion_model", "editors have"), rewards


def _automatic(
    config: Config, visible: Sequence[int], editors: Sequence[Place]
) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """The devices of ``device: auto``, with a notice where they are the choice of this function.

    Beside an editor on one device that device; else the lowest visible GPUs that no editor uses, else all GPUs of the
    editors, and without GPUs the CPU.

    Raises:
        LayoutError: these cannot be grouped.
    """
    editor, real = config.diffusion_model, config.reward_model.holds_gpu
    size = config.reward_model.params.group_size
    shared = tuple(index for index in _indices(editors) if not real or index in visible)
    if editor.params.device_ids is None and (shared or editor.params.device == "cpu"):
        if not shared or (editor.params.device is None and editor.declaration.needs == "gpu"):
            return _groups_of(shared, size, "reward_model", "rewards share") or ((),), ()
        place = tuple(range(shared[0], shared[0] + size))
        at: Location = ("reward_model", "params", "gpus_per_worker")
        if problems := _not_there(at, [place], visible) if real else []:
            raise LayoutError(problems)
        return (place,), ()
    free = [index for index in visible if index not in _indices(editors)]
    if len(free) < size:
        return _groups_of(shared, size, "reward_model", "rewards share") or ((),), ()
    place = tuple(free[:size])
    lowest = (
        "the lowest visible GPU that no editor uses" if size == 1 else "the lowest visible GPUs that no editor uses"
    )
    return (place,), (f"reward_model.params.device: auto is {gpu_group(place)}, {lowest}",)


def _groups_of(indices: Sequence[int], size: int, section: str, which: str) -> tuple[Place, ...]:
    """All of these GPUs in groups.

    Raises:
        LayoutError: some are left over.
    """
    if over := len(indices) % size:
        at: Location = (section, "params", "gpus_per_worker")
        found = f"{which} {counted(len(indices), 'GPU')}: {', '.join(f'cuda:{index}' for index in indices)}"
        enough = list(indices[: len(indices) - over])
        hint = f"leave some out: `device_ids: {enough}`" if enough else "make more GPUs visible"
        raise LayoutError([(at, Problem(dotted(at), f"is {size}, but {found}", hint))])
    return _grouped(indices, size)


def _grouped(devices: Sequence[DeviceId], size: int) -> tuple[Place, ...]:
    """The place of each worker: so many of these GPUs, or the CPU."""
    if size == 1:
        return tuple(() if device == "cpu" else (device,) for device in devices)
    indices = [device for device in devices if device != "cpu"]
    return tuple(tuple(indices[start : start + size]) for start in range(0, len(indices), size))


def _indices(places: Sequence[Place]) -> list[int]:
    return [index for place in places for index in place]


def _place(name: str, size: int) -> Place:
    """``cuda:N`` is the first of so many GPUs."""
    first = int(name.partition(":")[2] or 0)
    return () if name == "cpu" else tuple(range(first, first + size))


def _device_name(place: Place) -> str:
    return gpu_group(place) if place else "cpu"
