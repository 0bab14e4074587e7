"""The sections ``diffusion_model`` and ``reward_model``, made from what is declared of each type of model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, create_model

from protocol.messages import Role
from scheduler.base.text import counted
from scheduler.config.declared import DeclaredSection, section_of
from scheduler.config.problems import printable
from scheduler.config.values import DeviceId, Section, plain_problem
from workers.models.declaration import Alias, Conflict, ModelType
from workers.models.own import OWN
from workers.models.plugins import PluginError, Registry
from workers.models.registry import EDITORS, REWARDS


class ModelParams(DeclaredSection):
    """The parameters of a model. The annotations are of the keys that the scheduler reads itself."""

    if TYPE_CHECKING:
        model_name: str | None
        device: str | None
        device_ids: tuple[DeviceId, ...] | None
        conda_env: str | None
        python: Path | None
        threads_per_worker: int

    @property
    def group_size(self) -> int:
        """Over how many GPUs each worker's model is spread; 1 for a type without such a key."""
        return int(dict(self).get("gpus_per_worker", 1))

    @property
    def free(self) -> dict[str, Any]:
        """The keys that are not declared, which a class of the user's own may have."""
        return dict(self.model_extra or {})

    def conflicts(self) -> Iterator[Conflict]:
        indices = [entry for entry in self.device_ids or () if entry != "cpu"]
        for index in sorted({entry for entry in indices if indices.count(entry) > 1}, key=str):
            message = f"CUDA index {index} is there twice"
            yield Conflict((("device_ids",),), message, "one worker per GPU; only `cpu` may repeat")
        if self.device_ids is not None and self.device != type(self).model_fields["device"].default:
            yield Conflict((("device_ids",), ("device",)), "is given beside `device`", "keep one of the two")
        yield from self._group_conflicts()
        yield from super().conflicts()
        for key, value in self.free.items():
            if problem := plain_problem(value):
                yield Conflict(((key,),), problem)

    def _group_conflicts(self) -> Iterator[Conflict]:
        """A list of devices that cannot be grouped."""
        size, listed = self.group_size, self.device_ids
        if size == 1:
            return
        if "cpu" in (listed or (self.device,)):
            places = (("gpus_per_worker",), ("device_ids" if listed else "device",))
            yield Conflict(places, f"is {size}, but a model on the CPU is on one device", "leave it out")
        elif listed is not None and len(listed) % size:
            message = f"is {size}, but `device_ids` has {counted(len(listed), 'GPU')}"
            sizes = [count for count in (len(listed) // size * size, (len(listed) // size + 1) * size) if count]
            hint = f"list {' or '.join(map(str, sizes))} of them: each worker takes the next {size}"
            yield Conflict((("gpus_per_worker",), ("device_ids",)), message, hint)


class EditorParams(ModelParams):
    """The parameters of an editor."""

    if TYPE_CHECKING:
        seed: int
        enable_batch_sync: bool


class RewardParams(ModelParams):
    """The parameters of a reward."""

    if TYPE_CHECKING:
        score_range: tuple[float, float]
        compare_with_original: bool
        use_batch_inference: bool
        batch_size: int

    @property
    def effective_batch_size(self) -> int:
        """How many edits really go into a batch: 1 without ``use_batch_inference``."""
        return self.batch_size if self.use_batch_inference else 1


class ModelSection(Section):
    """What the sections of editors and rewards have in common."""

    declaration: ClassVar[ModelType]

    type: str | None
    class_path: str | None
    params: ModelParams

    def conflicts(self) -> Iterator[Conflict]:
        if self.has_environment and self.params.conda_env is not None and self.params.python is not None:
            places = (("params", "conda_env"), ("params", "python"))
            yield Conflict(places, "is given beside `python`", "keep one of the two")

    @property
    def has_environment(self) -> bool:
        """Whether its workers run in an environment of their own, and the config says which."""
        key = self.declaration.key("python")
        named = self.params.python is not None or self.params.conda_env is not None
        return named and key is not None and key.affects == "process"

    @property
    def holds_gpu(self) -> bool:
        """Whether its CUDA devices must exist."""
        return self.declaration.needs != "none"


class DiffusionModel(ModelSection):
    """The editor."""

    purpose: ClassVar[str] = "The editor: which diffusion pipeline, on which devices."

    params: EditorParams


class RewardModel(ModelSection):
    """The reward."""

    purpose: ClassVar[str] = "The reward: which model scores the edits, how, and on which devices."

    params: RewardParams

    @property
    def slots(self) -> int:
        """How many batches a worker works on at once."""
        return int(dict(self.params)["max_concurrency"]) if self.declaration.streams else 1

    @property
    def max_requests(self) -> int | None:
        """How many requests its workers may make in one part of a run; None is no limit."""
        limit: int | None = dict(self.params).get("max_requests")
        return limit

    @property
    def batch_size(self) -> int:
        """How many edits, or questions about edits, really go into a batch."""
        return 1 if self.declaration.streams else self.params.effective_batch_size


ModelSectionT = TypeVar("ModelSectionT", DiffusionModel, RewardModel)
_CLASS_PATH = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", max_length=500)]


@dataclass(frozen=True)
class Family(Generic[ModelSectionT]):
    """The types of model that can stand in one section. ``default`` is the type of a section that names none."""

    section: str
    role: Role
    registry: Registry[ModelType]
    base: type[ModelSectionT]
    params: type[ModelParams]
    default: str

    def own(self) -> type[ModelSectionT]:
        """The section of a class of the user's own."""
        return _section(self.base, self.params, OWN[self.role], None)

    def named(self, name: str) -> type[ModelSectionT]:
        """The section of a type, by any of its names.

        Raises:
            KeyError: there is none.
            PluginError: what a package brings under this name cannot be used.
        """
        model = self.registry.get(name)
        alias = next((alias for alias in model.old_names if name in alias.names), None)
        try:
            if model.role != self.role:
                raise ValueError(f"it is declared as {model.role}")
            return _section(self.base, self.params, model, alias)
        except Exception as error:
            # A package may declare anything.
            reason = printable(f"{type(error).__name__}: {error}", 300)
            raise PluginError(f"{self.registry.group}: {name!r} cannot be used: {reason}") from error

    def types(self, *, builtin: bool = False) -> dict[str, type[ModelSectionT]]:
        """The section of each type that can be used, by name; with ``builtin`` without those of packages."""
        sections: dict[str, type[ModelSectionT]] = {}
        for model in self.registry.all().values():
            if not (builtin and self.registry.package(model.name)):
                with contextlib.suppress(PluginError):
                    sections |= {name: self.named(name) for name in model.types}
        return sections

    def spellings(self) -> list[str]:
        """Names that mean another one: ``multi_gpu_qwen_edit`` is ``multi_gpu_qwen_image_edit``."""
        return [name for model in self.registry.all().values() for name in model.aliases if name not in model.types]

    def type_of_old_class(self, name: str) -> str | None:
        """The type that a class of the old system has become."""
        models = self.registry.all().values()
        return next((model.old_classes[name] for model in models if name in model.old_classes), None)


@cache
def _section(
    base: type[ModelSectionT], params: type[ModelParams], model: ModelType, alias: Alias | None
) -> type[ModelSectionT]:
    """The class of the section of a type; the same one each time."""
    name = alias.names[0] if alias else model.name
    defaults = alias.defaults if alias else {}
    keys = [replace(key, default=defaults[key.name]) if key.name in defaults else key for key in model.keys]
    rules = (*model.rules, *(alias.rules if alias else ()))
    values = section_of(params, f"{name} params", keys, rules, free=model.free)
    meaning = alias.meaning if alias else model.meaning
    fields: dict[str, Any] = {
        "type": (Literal[name], Field(default=name, description=meaning)),
        "class_path": (None, Field(default=None, description="Not beside a built-in type.")),
        "params": (values, Field(default_factory=values, description=f"The {model.role}'s parameters.")),
    }
    if model is OWN[model.role]:
        fields["type"] = (None, Field(default=None, description="Not beside a class of one's own."))
        fields["class_path"] = (_CLASS_PATH, Field(default="package.module.ClassName", description=meaning))
    section = create_model(name, __base__=base, **fields)
    section.declaration = model
    return section


EDITOR_FAMILY = Family("diffusion_model", "editor", EDITORS, DiffusionModel, EditorParams, "qwen_image_edit")
REWARD_FAMILY = Family("reward_model", "reward", REWARDS, RewardModel, RewardParams, "qwen3_vl")
FAMILIES: Mapping[Role, Family[Any]] = {"editor": EDITOR_FAMILY, "reward": REWARD_FAMILY}
