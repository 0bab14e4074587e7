"""Every section with every key, in one place: for hints, for the reference, and for the test of the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from scheduler.config.editor_models import EDITOR_ALIASES, EDITORS, OwnEditor, QwenImageEdit
from scheduler.config.prompts import CategoryEntry
from scheduler.config.reward_models import REWARDS, OwnReward, Qwen3VL
from scheduler.config.sections import Benchmark, Evaluation, Logging, Pool, Scheduler
from scheduler.config.values import Section


@dataclass(frozen=True)
class Family:
    """The models that can stand in one section, by ``type``; ``own`` is for a class of the user's."""

    section: str
    role: str
    types: Mapping[str, type[Section]]
    own: type[Section]
    default: type[Section]
    aliases: Mapping[str, str]
    old_classes: Mapping[str, str]


EDITOR_FAMILY = Family(
    section="diffusion_model",
    role="editor",
    types=EDITORS,
    own=OwnEditor,
    default=QwenImageEdit,
    aliases=EDITOR_ALIASES,
    old_classes={
        "QwenImageEditModel": "qwen_image_edit",
        "MultiGPUQwenImageEditModel": "multi_gpu_qwen_image_edit",
    },
)
REWARD_FAMILY = Family(
    section="reward_model",
    role="reward",
    types=REWARDS,
    own=OwnReward,
    default=Qwen3VL,
    aliases={},
    old_classes={"Qwen3VLRewardModel": "qwen3_vl", "Qwen3VLSubprocessRewardModel": "qwen3_vl_subprocess"},
)

PLAIN_SECTIONS: dict[str, type[Section]] = {
    "benchmark": Benchmark,
    "evaluation": Evaluation,
    "logging": Logging,
    "pool": Pool,
    "scheduler": Scheduler,
}

SECTIONS: dict[str, tuple[type[Section], ...]] = {
    "benchmark": (Benchmark,),
    "diffusion_model": (*EDITORS.values(), OwnEditor),
    "reward_model": (*REWARDS.values(), OwnReward),
    "prompts": (CategoryEntry,),
    "evaluation": (Evaluation,),
    "logging": (Logging,),
    "pool": (Pool,),
    "scheduler": (Scheduler,),
}
"""In the order in which a config has them. The keys of ``prompts`` are categories, each a ``CategoryEntry``."""

PER_CATEGORY = "<category>"
PER_ASPECT = "<aspect>"


@dataclass(frozen=True)
class Key:
    """One key of the config: its dotted path, its field, and which ``type`` has it (None: all, or there are none)."""

    path: str
    name: str
    field: FieldInfo
    owner: type[Section]


def all_keys() -> Iterator[Key]:
    """Every key of every section and type; one that several types share comes once for each."""
    for section, kinds in SECTIONS.items():
        prefix = f"{section}.{PER_CATEGORY}" if section == "prompts" else section
        for kind in kinds:
            yield from _keys(prefix, kind, kind)


def _keys(prefix: str, kind: type[Section], owner: type[Section]) -> Iterator[Key]:
    for name, field in kind.model_fields.items():
        path = f"{prefix}.{name}"
        yield Key(path, name, field, owner)
        if below := nested_section(field):
            yield from _keys(f"{path}.{PER_ASPECT}" if name == "aspects" else path, below, owner)


def nested_section(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, or holds several of."""
    return _section_in(field.annotation)


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


def type_name(kind: type[Section]) -> str:
    """How a section's class is chosen: its ``type``, or ``class_path``."""
    field = kind.model_fields.get("type")
    return str(field.default) if field is not None and field.default else "class_path"


def hint_for_key(name: str, section: str, path: str) -> str | None:
    """Where a key that is unknown at ``path`` (of ``section``) would be right, if it is one anywhere."""
    found = [key for key in all_keys() if key.name == name]
    here = [key for key in found if key.path == f"{path}.{name}"]
    if here:
        kinds = {type_name(key.owner): None for key in here if type_name(key.owner) not in {"simulated", "identity"}}
        return f"`{name}` belongs to type {' and '.join(kinds)}" if kinds else f"`{name}` belongs to type simulated"
    places = list({key.path.rpartition(".")[0]: None for key in found})
    same_section = [place for place in places if place.split(".")[0] == section]
    chosen = (same_section or places)[:2]
    return f"`{name}` is a key of `{'` and `'.join(chosen)}`" if chosen else None


def bounds(field: FieldInfo) -> tuple[str | None, str | None]:
    """The lowest and highest value of a numeric field, as words: ``("1", "256")``, ``("above 0", "below 1")``."""
    low: str | None = None
    high: str | None = None
    for rule in _rules(field):
        if isinstance(rule, annotated_types.Ge):
            low = f"{rule.ge:g}" if isinstance(rule.ge, float) else str(rule.ge)
        elif isinstance(rule, annotated_types.Gt):
            low = f"above {rule.gt}"
        elif isinstance(rule, annotated_types.Le):
            high = f"{rule.le:g}" if isinstance(rule.le, float) else str(rule.le)
        elif isinstance(rule, annotated_types.Lt):
            high = f"below {rule.lt}"
    return low, high


def _rules(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    yield from _rules_in(field.annotation)


def _rules_in(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for rule in annotation.__metadata__:
            yield from rule.metadata if isinstance(rule, FieldInfo) else (rule,)
    elif get_origin(annotation) is not tuple:
        for part in get_args(annotation):
            yield from _rules_in(part)
