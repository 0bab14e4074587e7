"""What the simulated editor and reward share: how long the device is busy, and when something fails.

Hashes of a pair's key decide everything: the same pair takes the same time and has the same fault on any worker, in
any order, in any run.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import time
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocol.messages import Residency
from workers.interface import Model, ModelError, Progress
from workers.models.declaration import Key
from workers.models.keys import model_name

FaultKind = Literal["crash", "hang", "oom", "error"]
Probability = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Parameters = TypeVar("Parameters", bound=Struct)

FAULT_KINDS: dict[FaultKind, str] = {
    "crash": "The process dies at once.",
    "hang": "The device never comes back.",
    "oom": "The device runs out of memory.",
    "error": "The model raises an error of its own.",
}
"""A pair that has several faults meets the first of this order."""

_HOUR_MS, _DAY = 3_600_000, 86_400
SIMULATION_KEYS = (
    model_name("simulated", "A name for the report; nothing is loaded.", optional=True),
    Key("latency_ms", "float", 100.0, "Milliseconds a job holds the device.", "speed", low=0, high=_HOUR_MS),
    Key("sigma", "float", 0.0, "Spread of the latency: log-normal, seeded per pair.", "speed", low=0, high=5),
    Key("per_megapixel_ms", "float", 0.0, "Milliseconds more per megapixel.", "speed", low=0, high=_HOUR_MS),
    Key("load_seconds", "float", 0.0, "Seconds that loading the model takes.", "load", low=0, high=_DAY),
    Key("place_seconds", "float", 0.0, "Seconds that moving its weights takes.", "load", low=0, high=_DAY),
    Key("burn_cpu", "bool", False, "Spin instead of sleeping while the device is held.", "speed"),
    Key(
        "faults",
        "mapping",
        None,
        "How a simulated worker breaks: a probability, or a list of pair keys (`category/pair_id`).",
        "speed",
        keys=tuple(Key(kind, "chance", 0.0, meaning) for kind, meaning in FAULT_KINDS.items()),
    ),
)
"""The keys of a simulated model beside those of its role."""

PROGRESS_SECONDS = 0.05
_HASHED_AT_ONCE = bytes(256 * 1024)


class LoadParameters(Struct, frozen=True, kw_only=True):
    """How long loading the model and moving its weights take, from ``spec.params``; other keys are ignored."""

    load_seconds: Seconds = 0.0
    place_seconds: Seconds = 0.0


class Simulation(Struct, frozen=True, kw_only=True):
    """A run's parameters for simulated work; other keys (those of the real types) are ignored.

    Times are *medians*: each is multiplied by ``exp(sigma * z)``, with z normal and fixed by the key of the pair. (The
    mean is ``exp(sigma ** 2 / 2)`` times the median: 8 % above it for a sigma of 0.4.) A reward's ``latency_ms`` is
    once per batch and its z is fixed by all keys of the batch; ``per_item_ms`` and ``per_megapixel_ms`` (of an editor:
    of the source; of a reward: of the edit) count for each item, with the z of its pair.

    A fault is a probability, or the list of the keys (``category/pair_id``) that have it. Key and seed decide, not the
    attempt: a pair that crashes its worker does so every time. A reward has no seed and decides by the key alone; a
    fault of one item is that of its whole batch.

    ``prefers`` is what a reward scores by: ``nothing`` visible, or ``change``, how much the pixels differ.
    """

    latency_ms: Milliseconds = 100.0
    sigma: Annotated[float, Meta(ge=0, le=5)] = 0.0
    per_megapixel_ms: Milliseconds = 0.0
    per_item_ms: Milliseconds = 0.0
    burn_cpu: bool = False
    faults: dict[FaultKind, Probability | list[str]] = {}
    score_range: tuple[float, float] = (0.0, 10.0)
    prefers: Literal["nothing", "change"] = "nothing"

    def __post_init__(self) -> None:
        low, high = self.score_range
        if not low < high:
            raise ValueError(f"score_range is [{low}, {high}]: the first must be less than the second")

    def edit_seconds(self, key: str, *sizes: tuple[int, int]) -> float:
        """How long the editor is busy with this pair, whose sources have ``sizes`` (width, height)."""
        return self._spread(key, self.latency_ms + sum(map(self._for_pixels, sizes)))

    def batch_seconds(self, items: Sequence[tuple[str, tuple[int, int]]]) -> float:
        """How long the reward is busy with a batch of (key, size of the edit)."""
        whole = self._spread("\n".join(sorted(key for key, _ in items)), self.latency_ms)
        return whole + sum(self._spread(key, self.per_item_ms + self._for_pixels(size)) for key, size in items)

    def fault(self, key: str, seed: int | None = None) -> FaultKind | None:
        """The fault of this pair, if any."""
        for kind in FAULT_KINDS:
            rule = self.faults.get(kind, 0.0)
            if key in rule if isinstance(rule, list) else uniform("fault", kind, key, str(seed)) < rule:
                return kind
        return None

    def score(self, image_sha256: str) -> float:
        """A score spread evenly over ``score_range``, with two decimals, fixed by the hash of the image's bytes."""
        return self.on_scale(uniform("score", image_sha256))

    def on_scale(self, share: float) -> float:
        """A share from 0 to 1 as a score, with two decimals."""
        low, high = self.score_range
        return min(high, max(low, round(low + (high - low) * share, 2)))

    def _for_pixels(self, size: tuple[int, int]) -> float:
        return self.per_megapixel_ms * size[0] * size[1] / 1e6

    def _spread(self, key: str, median_ms: float) -> float:
        deviation = NormalDist().inv_cdf(uniform("time", key))
        return median_ms * math.exp(self.sigma * deviation) / 1000


class SimulatedModel(Model):
    """A model without weights, whose loading and moving take a set time."""

    def load(self, residency: Residency) -> None:  # noqa: ARG002 - there are no weights to be anywhere
        """Take ``load_seconds`` of the spec's params (default 0).

        Raises:
            ModelError: kind ``config``, naming the key that is wrong.
        """
        _pause(_convert(self.spec.params, LoadParameters).load_seconds)

    def place(self, residency: Residency) -> None:  # noqa: ARG002 - as above
        """Take ``place_seconds`` of the spec's params (default 0)."""
        _pause(_convert(self.spec.params, LoadParameters).place_seconds)


def read_simulation(parameters: Mapping[str, Any]) -> Simulation:
    """Check a run's parameters.

    Raises:
        ModelError: kind ``config``, naming the key that is wrong.
    """
    return _convert(parameters, Simulation)


def uniform(*parts: str) -> float:
    """A number above 0 and below 1, always the same for the same parts, evenly spread over different ones."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return ((int.from_bytes(digest[:8], "big") >> 12) + 0.5) / 2**52  # 52 bits: one more could round up to 1


def hold(started: float, seconds: float, progress: Progress, *, burn_cpu: bool = False) -> None:
    """Occupy the device until ``seconds`` after ``started`` (of ``time.monotonic``), with progress every 50 ms or less.

    Each step ends at its own point in time, so late wake-ups do not add up. With ``burn_cpu`` hashing keeps a core
    busy; it releases the GIL, as torch's kernels do.
    """
    steps = max(1, math.ceil(seconds / PROGRESS_SECONDS))
    wait_until = _burn_until if burn_cpu else _sleep_until
    for step in range(1, steps + 1):
        wait_until(started + seconds * step / steps)
        progress(step, steps)


def strike(kind: FaultKind) -> NoReturn:
    """Cause the fault: ``crash`` ends this process as the OOM killer would, ``hang`` never returns.

    Raises:
        ModelError: kind ``oom``.
        RuntimeError: for ``error``.
    """
    if kind == "oom":
        raise ModelError("oom", "simulated: the device is out of memory")
    if kind == "error":
        raise RuntimeError("simulated: something went wrong")
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        time.sleep(3600)


def _pause(seconds: float) -> None:
    _sleep_until(time.monotonic() + seconds)


def _convert(values: Mapping[str, Any], kind: type[Parameters]) -> Parameters:
    try:
        return msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        raise ModelError("config", f"parameters of a simulated model: {error}") from error


def _sleep_until(deadline: float) -> None:
    time.sleep(max(0.0, deadline - time.monotonic()))


def _burn_until(deadline: float) -> None:
    while time.monotonic() < deadline:
        hashlib.sha256(_HASHED_AT_ONCE)
