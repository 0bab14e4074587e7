"""Estimates how long a run will take, from this user's earlier runs with the same models, and learns from this run.

An edit's cost is a line over the source's size (``costs``), a score's the seconds of its batch divided by the batch's
size. The time that editors lose otherwise, mostly at barriers, is a factor for each number of editors. Loading is the
time from a pool's launch until the first edit or score, and of the switches on shared devices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from protocol.messages import Role
from scheduler.base.text import counted
from scheduler.config.document import Config
from scheduler.config.requests import edit_parameters, editor_spec, reward_spec, score_parameters
from scheduler.stages.clock import StageClock
from scheduler.stages.costs import CostLine, KnownCosts

_MIN_ROUNDS = 3
"""Stages of fewer rounds say nothing about the time lost in rounds."""


class StageEstimate(Struct, frozen=True):
    """``seconds`` on this number of workers."""

    seconds: float
    workers: int


class Estimate(Struct, frozen=True):
    """The estimates of a run's stages; ``one_after_the_other``: they share devices. ``runs`` contributed. ``loading``
    takes these seconds before the stages, 0 if the models are loaded; None if no earlier run has measured it.
    """

    edit: StageEstimate | None
    score: StageEstimate | None
    one_after_the_other: bool
    runs: int
    loading: float | None = 0.0

    @property
    def seconds(self) -> float:
        """Of the whole run. Scores on devices of their own are made while edits are."""
        both = [stage.seconds for stage in (self.edit, self.score) if stage is not None]
        return (self.loading or 0.0) + (sum(both) if self.one_after_the_other else max(both, default=0.0))

    def __str__(self) -> str:
        parts = [f"loading {rough(self.loading)}"] if self.loading else []
        parts += [
            f"{what} {rough(stage.seconds)} on {counted(stage.workers, role)}"
            for what, role, stage in (("edits", "editor", self.edit), ("scores", "reward", self.score))
            if stage is not None
        ]
        order = ", one after the other" if self.one_after_the_other and self.edit and self.score else ""
        runs = counted(self.runs, "earlier run")
        without = " without loading" if self.loading is None else ""
        return f"Estimated: about {rough(self.seconds)}{without} ({', '.join(parts)}{order}), from {runs}"


class Forecast:
    """Estimates for a config's models on devices of these kinds (``cuda``, ``cpu``); ``line`` learns from edits."""

    def __init__(self, config: Config, costs: KnownCosts, kinds: Mapping[Role, str]) -> None:
        self._costs = costs
        self._edit_work: dict[str, Any] = {
            "editor": to_builtins(editor_spec(config)),
            "parameters": edit_parameters(config),
            "device": kinds.get("editor", ""),
        }
        self._score_work: dict[str, Any] = {
            "reward": to_builtins(reward_spec(config)),
            "parameters": score_parameters(config),
            "device": kinds.get("reward", ""),
        }
        synchronized = config.diffusion_model.params.enable_batch_sync
        self._round_size = config.scheduler.round_size if synchronized else 0
        self.line = costs.line(self._edit_work)

    def estimate(
        self,
        edits: Sequence[float],
        scores: int,
        workers: Mapping[Role, int],
        *,
        one_after_the_other: bool,
        loaded: bool = True,
    ) -> Estimate | None:
        """Return the estimate for edits of these sizes (megapixels of the source, in order) and ``scores`` scores.
        ``loaded``: the models are, so that the run need not wait for them.

        None if a stage with work has no earlier run, or there is no work.
        """
        lines: list[CostLine] = []
        edit = score = None
        editors, rewards = workers.get("editor", 0), workers.get("reward", 0)
        if edits and editors:
            if not self.line.count:
                return None
            lines.append(self.line)
            loss = self._costs.line(self._loss(editors)).mean
            seconds = edit_seconds(seconds_of(self.line, edits), editors, round_size=self._round_size, loss=loss)
            edit = StageEstimate(seconds, editors)
        if scores and rewards:
            line = self._costs.line(self._score_work)
            if line.mean is None:
                return None
            lines.append(line)
            score = StageEstimate(scores * line.mean / rewards, rewards)
        if not lines:
            return None
        loading = 0.0 if loaded else self._costs.line(self._loading(workers)).mean
        return Estimate(edit, score, one_after_the_other, max(1, min(line.runs for line in lines)), loading)

    def _loss(self, editors: int) -> dict[str, Any]:
        return {**self._edit_work, "editors": editors, "round_size": self._round_size}

    def _loading(self, workers: Mapping[Role, int]) -> dict[str, Any]:
        models = {"editor": self._edit_work["editor"], "reward": self._score_work["reward"]}
        devices = {"editor": self._edit_work["device"], "reward": self._score_work["device"]}
        return {role: [models[role], devices[role], count] for role, count in workers.items() if count}

    def learn_loading(self, seconds: float, workers: Mapping[Role, int]) -> None:
        """Store how long a run waited for the models of a pool that it launched with these numbers of workers."""
        line = self._costs.line(self._loading(workers))
        line.note(0.0, seconds)
        self._costs.store(self._loading(workers), line)

    def learn(self, edit: StageClock, edits: int, score: StageClock, scores: int) -> None:
        """Store what this run has measured: the clocks of its stages, and the numbers of edits and scores they made."""
        if self.line.count:
            self._costs.store(self._edit_work, self.line)
        editors = len(edit.workers)
        wall = (edit.finished or 0.0) - (edit.started or 0.0)
        if edits >= _MIN_ROUNDS * editors * max(1, self._round_size) and edit.device_seconds > 0 < wall:
            loss = self._costs.line(self._loss(editors))
            loss.note(0.0, max(1.0, wall * editors / edit.device_seconds))
            self._costs.store(self._loss(editors), loss)
        if scores and score.device_seconds > 0:
            line = self._costs.line(self._score_work)
            line.note(0.0, score.device_seconds, scores)
            self._costs.store(self._score_work, line)


def seconds_of(line: CostLine, megapixels: Sequence[float]) -> list[float]:
    """Return the expected seconds of each edit. Where the size does not matter, the line's slope is noise."""
    mean = line.mean or 0.0
    if not line.size_matters() or line.spread <= 1e-6:
        return [mean] * len(megapixels)
    return [line.expected(size) or 0.0 for size in megapixels]


def edit_seconds(costs: Sequence[float], editors: int, *, round_size: int, loss: float | None) -> float:
    """Return how long the editors take for edits of these costs. ``round_size`` is 0 without rounds. ``loss`` is the
    factor by which earlier stages took longer than their devices worked; if it is None, rounds lose only what unequal
    costs make them lose.
    """
    even = sum(costs) / editors
    if loss is not None:
        return even * loss
    if not round_size:
        return max(even, max(costs, default=0.0))
    at_once = editors * round_size
    rounds = (costs[start : start + at_once] for start in range(0, len(costs), at_once))
    return math.fsum(max(sum(part) / editors, max(part) * -(-len(part) // editors)) for part in rounds)


def rough(seconds: float) -> str:
    """Return ``40 s``, ``12 min``, ``3.5 h`` or ``2.1 days``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def kind_of(devices: Sequence[str]) -> str:
    """Return what kind these devices are: ``cuda`` or ``cpu``; empty without devices."""
    return devices[0].partition(":")[0] if devices else ""
