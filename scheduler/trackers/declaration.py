"""What a tracker is, and the table of trackers.

A tracker is a function that sends the results of one run. It is called in a process of its own, which is ended when its
time is over, so it may import, wait and fail as it likes: the run does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from workers.models.declaration import Key, Rule
from workers.models.plugins import Registry

Value = str | int | float | bool | None


class TrackedPair(Struct, frozen=True, kw_only=True):
    """A pair with its images: the paths of small JPEGs, ``edit`` of the first sample. ``score`` is null without one."""

    category: str
    pair_id: str
    instruction: str
    score: float | None
    source: str
    edit: str


class TrackedRun(Struct, frozen=True, kw_only=True):
    """The results of one run.

    Runs of the same ``series`` belong into one run of the tracker, which is called ``name``: those of the checkpoints
    of one training, by ``step``, with the same settings. A run whose checkpoint has no step is a series of its own.
    ``run`` is the run's id, and ``title`` what it is called. ``numbers`` and ``settings`` have their names in parts,
    such as ``category/colour`` and ``editor.parameters.seed``; the settings are the same for the whole series. Every
    name that a tracker shows begins with ``prefix``. ``files`` are paths by the name that each is to have. ``folder``
    is where the tracker may leave files of its own.
    """

    series: str
    name: str
    run: str
    title: str
    step: int | None
    prefix: str
    numbers: Mapping[str, float]
    settings: Mapping[str, Value]
    files: Mapping[str, str]
    pairs: tuple[TrackedPair, ...]
    folder: str


Send = Callable[[TrackedRun, Mapping[str, Any]], str | None]
"""Sends a run and returns where it can be seen, if that can be said in a line. It may raise anything. The mapping has
the values of all keys of the tracker's section.
"""


class TrackerType(Struct, frozen=True):
    """What a tracker declares.

    ``keys`` are those of its section under ``trackers``, named as itself, beside those that every tracker has
    (``SHARED_KEYS``), which it may declare with other defaults; ``rules`` say which values do not go together.
    ``packages`` are those that the environment must have, each with the oldest version that works, or ``""``; ``send``
    alone imports them.
    """

    name: str
    meaning: str
    send: Send
    keys: tuple[Key, ...] = ()
    rules: tuple[Rule, ...] = ()
    packages: Mapping[str, str] = {}
    aliases: tuple[str, ...] = ()


SHARED_KEYS = (
    Key("name", "text", None, "Of its run; left out: the training's folder, or the run's title.", low=1, high=120),
    Key("prefix", "text", "eval", "What the names of all numbers begin with.", pattern=r"^[A-Za-z0-9_.-]{1,60}$"),
    Key("images", "int", 8, "Pairs to send with their images; 0: none.", low=0, high=1000),
    Key("timeout_seconds", "float", 60.0, "Seconds that it has for one run; then it is ended.", low=1, high=3600),
)

TRACKERS = Registry(
    "warmbench.trackers",
    TrackerType,
    {name: f"scheduler.trackers.{name}:TRACKER" for name in ("wandb", "mlflow", "tensorboard")},
)
