"""What a type of model is, declared once: its keys, bounds, defaults and class, and what else is asked of it.

Standard dataclasses only. A declaration is imported by the scheduler, which builds the section of the config from it,
and by workers in environments that have no pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from protocol.messages import Role

KeyKind = Literal[
    "bool",
    "int",
    "float",
    "text",
    "choice",
    "path",
    "list",
    "mapping",
    "fixed",
    "range",
    "chance",
    "hub_file",
    "device",
    "devices",
    "environment",
]
Affects = Literal["load", "start", "run", "speed", "process", "nothing"]
Path = tuple[str | int, ...]
_RANGE_LIMIT = 1e6


@dataclass(frozen=True)
class Conflict:
    """Values that are right by themselves but not together. ``keys`` are relative to the mapping, main one first;
    without any it is the ``type`` that is wrong.
    """

    keys: tuple[Path, ...]
    message: str
    hint: str | None = None


Rule = Callable[[Mapping[str, Any]], Iterator[Conflict]]
"""Yields what is wrong with the values of a mapping, all of which have passed their own checks."""


HostCopies = Callable[[Sequence[str], Mapping[str, Any]], int]
"""See ``ModelType.host_copies``."""


Variables = Callable[[Mapping[str, Any]], Sequence[str]]
"""See ``ModelType.variables``."""


@dataclass(frozen=True)
class Key:
    """One key of ``params``.

    ``kind`` is what may be written:

    * ``bool``; ``int`` and ``float`` from ``low`` to ``high`` (with ``exclusive``: between them)
    * ``text`` of ``low`` to ``high`` characters that matches ``pattern``; ``choice`` of ``choices``
    * ``path`` (absolute when a worker gets it); ``hub_file``, a local file or one on the hub
    * ``list`` of ``item``, with ``low`` to ``high`` entries; ``mapping`` of ``keys``, or of anything without them (also
      as the ``item`` of a list)
    * ``fixed``: the default and nothing else, ``because`` of something; ``range``: two numbers, the lower one first
    * ``chance``: a probability, or a list of pair keys; ``device`` (also each of ``choices``), ``devices``;
      ``environment``: the name of a conda environment

    None may be written if the default is None, or with ``optional``. ``affects`` is what another value means:

    * ``load``: the model is loaded anew, and has another fingerprint; the worker gets the value with the model
    * ``start``: the model is loaded anew, and is the same one; the worker gets the value with the model
    * ``run``: other results; the worker gets the value with each piece of work
    * ``speed``: the same results in another time; the worker gets it as well
    * ``process``: where the worker runs
    * ``nothing``: the model does not see it

    ``wanted`` says what a text must be, instead of its pattern. A wrong value is not shown then: it may be a secret.

    A key that is ``later`` did not exist when results were recorded: it enters identities and fingerprints only where
    it differs from its default, so the class must treat a missing value as the default. ``approximate`` is an
    optimization that changes pixels: always, or as a pattern, with the values in which it is found.

    ``sets`` are mappings that may be written by name instead.
    """

    name: str
    kind: KeyKind
    default: Any = None
    meaning: str = ""
    affects: Affects = "run"
    low: float | None = None
    high: float | None = None
    exclusive: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    item: KeyKind = "text"
    keys: tuple[Key, ...] = ()
    rules: tuple[Rule, ...] = ()
    because: str = ""
    wanted: str = ""
    optional: bool = False
    later: bool = False
    approximate: bool | str = False
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, eq=False)
class Alias:
    """An older name of a type (and its spellings), with what it sets: other defaults, and rules of its own."""

    names: tuple[str, ...]
    meaning: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, eq=False)
class ModelType:
    """A type of editor or reward.

    ``target`` is its class, as ``module:Class``. ``keys`` are all of its keys: ``EDITOR_KEYS`` or ``REWARD_KEYS``, or
    what ``pick`` leaves of them, with its own (``with_keys``). ``rules`` are the conflicts between keys.

    ``needs``: ``gpu`` (its devices must exist; without ``device`` and ``device_ids`` it takes all GPUs), ``any`` (its
    devices must exist; it prefers a GPU) or ``none`` (it may name any device, and uses none).

    ``entry_file`` is the file without which a folder is no such model; without one, ``model_name`` is not looked up.
    ``known_models`` are names on the hub, for hints, and ``corrections`` maps names that people write to them.
    ``packages`` are those that its environment must have, with the oldest version that works, or ``""``.
    ``host_copies`` says, by the weight files and the load parameters, how many bytes of the weights would be a copy in
    each worker's host memory; the others are pages of the mapped files. Without it, all are a copy.
    ``one_image`` are the pipeline classes (in a ``model_index.json``) and the known models that take one source image
    only: they exclude ``images: all``.
    ``variables`` says, by the parameters, which variables of the environment its workers cannot do without.
    ``answers_questions``: this reward answers the questions of protocols, beside prompts. ``streams``: this reward
    works on many judgements at once, at most ``max_concurrency`` (a key), and each is sent to it by itself.
    ``workers_key`` is the key that says how many workers there are, of a type that uses no device.
    ``note`` stands at the top of each report. ``free`` lets it have further keys of any name.
    ``old_classes`` maps classes of the system before this one to the ``type`` that each has become.
    """

    name: str
    role: Role
    meaning: str
    target: str
    keys: tuple[Key, ...]
    rules: tuple[Rule, ...] = ()
    needs: Literal["gpu", "any", "none"] = "any"
    note: str = ""
    old_names: tuple[Alias, ...] = ()
    old_classes: Mapping[str, str] = field(default_factory=dict)
    entry_file: str | None = None
    known_models: tuple[str, ...] = ()
    corrections: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    host_copies: HostCopies | None = None
    variables: Variables | None = None
    free: bool = False
    one_image: tuple[str, ...] = ()
    answers_questions: bool = False
    streams: bool = False
    workers_key: str | None = None

    def __post_init__(self) -> None:
        names = [key.name for key in self.keys]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{self.name} declares {', '.join(twice)} twice")
        if missing := [name for name in SHARED_KEYS[self.role] if name not in names]:
            raise ValueError(f"{self.name} declares no {', '.join(missing)}: begin with the keys of every {self.role}")
        if self.streams and "max_concurrency" not in names:
            raise ValueError(f"{self.name} streams, but declares no max_concurrency")

    @property
    def aliases(self) -> tuple[str, ...]:
        """All other names of the type."""
        return tuple(name for alias in self.old_names for name in alias.names)

    @property
    def types(self) -> tuple[str, ...]:
        """The name and the older ones, each in one spelling; these are the values of ``type`` as a config has them."""
        return (self.name, *(alias.names[0] for alias in self.old_names))

    def key(self, name: str) -> Key | None:
        """The key of this name, if there is one."""
        return next((key for key in self.keys if key.name == name), None)


_OF_ALL = ("model_name", "device", "device_ids", "conda_env", "python", "threads_per_worker")
SHARED_KEYS: Mapping[Role, tuple[str, ...]] = {
    "editor": (*_OF_ALL, "seed", "enable_batch_sync"),
    "reward": (*_OF_ALL, "score_range", "compare_with_original", "use_batch_inference", "batch_size"),
}
"""The keys that the scheduler itself reads, by role: every declaration has them."""


def is_range(value: object) -> bool:
    """Whether this is what a key of the kind ``range`` takes."""
    if not (isinstance(value, list | tuple) and len(value) == 2 and {*map(type, value)} <= {int, float}):
        return False
    return bool(-_RANGE_LIMIT < value[0] < value[1] < _RANGE_LIMIT)


def with_keys(keys: Sequence[Key], *own: Key) -> tuple[Key, ...]:
    """The keys with ``own`` among them: in the place of the key of the same name, else at the end."""
    replaced = {key.name: key for key in own}
    return (*(replaced.pop(key.name, key) for key in keys), *replaced.values())


def pick(keys: Sequence[Key], *names: str) -> tuple[Key, ...]:
    """Those of the keys that have these names."""
    return tuple(key for key in keys if key.name in names)


def ignored(keys: Sequence[Key], *names: str) -> tuple[Key, ...]:
    """The keys, of which those with these names are accepted and have no effect."""
    return tuple(replace(key, affects="nothing") if key.name in names else key for key in keys)
