"""A reward that occupies its device for a set time and scores by a hash, or by how much has changed.

See ``models/simulation.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image, ImageChops, ImageStat

from protocol.messages import Judgement
from workers.interface import ModelError, Progress, Reward, ScoreRequest, Scores
from workers.models.declaration import Conflict, Key, ModelType, ignored, with_keys
from workers.models.flatten import flatten
from workers.models.keys import REWARD_KEYS, judging_conflicts
from workers.models.simulation import SIMULATION_KEYS, SimulatedModel, Simulation, hold, read_simulation, strike


def _change_needs_the_source(values: Mapping[str, Any]) -> Iterator[Conflict]:
    if values["prefers"] == "change" and not values["compare_with_original"]:
        message = "change can't be seen without the source"
        yield Conflict((("prefers",), ("compare_with_original",)), message, "write `compare_with_original: true`")


DECLARATION = ModelType(
    name="simulated",
    role="reward",
    meaning="A score from the image's bytes, after a set time.",
    target="workers.models.rewards.simulated_reward:SimulatedReward",
    keys=with_keys(
        ignored(REWARD_KEYS, "dtype", "use_flash_attention", "offload", "quantization", "conda_env", "python"),
        *SIMULATION_KEYS,
        Key("latency_ms", "float", 100.0, "Milliseconds a batch holds the device.", "speed", low=0, high=3_600_000),
        Key("per_item_ms", "float", 0.0, "Milliseconds more per edit of the batch.", "speed", low=0, high=3_600_000),
        Key(
            "prefers",
            "choice",
            "nothing",
            "`nothing`: the score is a hash of the image's bytes; `change`: it grows with how much the pixels differ "
            "from the source's.",
            choices=("nothing", "change"),
        ),
    ),
    rules=(judging_conflicts, _change_needs_the_source),
    needs="none",
    note="The reward is simulated: it measures the scheduling, and its results carry no meaning.",
)


class SimulatedReward(SimulatedModel, Reward):
    """The score depends only on the encoded bytes of the edit and the score range; or, with ``prefers: change``, on
    the mean absolute difference of its pixels to those of the source.
    """

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Judge the whole batch at once. A fault of any item happens after half of the time.

        Raises:
            ModelError: ``config`` for parameters that are wrong, or a source that is missing; ``oom`` where the faults
                say so.
            RuntimeError: where the faults say so.
        """
        started = time.monotonic()
        simulation = read_simulation(parameters)
        seconds = simulation.batch_seconds([(request.key, request.image.size) for request in requests])
        faults = [fault for request in requests if (fault := simulation.fault(request.key))]
        if faults:
            hold(started, seconds / 2, progress, burn_cpu=simulation.burn_cpu)
            strike(faults[0])
        judgements = [
            Judgement(aspect=request.prompt.aspect, score=_score(simulation, request), method="simulated")
            for request in requests
        ]
        hold(started, seconds, progress, burn_cpu=simulation.burn_cpu)
        return Scores(judgements=judgements, batch_sizes=(len(requests),))


def _score(simulation: Simulation, request: ScoreRequest) -> float:
    if simulation.prefers != "change":
        return simulation.score(request.image_sha256)
    if request.source is None:
        raise ModelError("config", "reward_model.params.prefers: change needs compare_with_original: true")
    return simulation.on_scale(_change(request.image, request.source))


def _change(image: Image.Image, source: Image.Image) -> float:
    """The mean absolute difference of all colours of all pixels, from 0 to 1; a source of another size is resized."""
    edit, before = flatten(image), flatten(source)
    if before.size != edit.size:
        before = before.resize(edit.size, Image.Resampling.BICUBIC)
    differences = ImageStat.Stat(ImageChops.difference(edit, before)).mean
    return sum(differences) / (255 * len(differences))
