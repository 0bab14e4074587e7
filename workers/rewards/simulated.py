"""A reward that holds its device for a set time and derives scores from hashes. See ``workers.simulation``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from protocol.messages import Judgement
from workers.interface import Progress, Reward, ScoreRequest, Scores
from workers.simulation import SimulatedModel, hold, read_simulation, strike


class SimulatedReward(SimulatedModel, Reward):
    """Gives each edit a score that depends on nothing but its encoded bytes and the score range."""

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Judge the whole batch at once. A fault of any of its items comes when half of the time is over.

        Raises:
            ModelError: ``config`` for parameters that are wrong, ``oom`` where the faults say so.
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
            Judgement(
                aspect=request.prompt.aspect,
                score=simulation.score(request.image_sha256),
                method="simulated",
            )
            for request in requests
        ]
        hold(started, seconds, progress, burn_cpu=simulation.burn_cpu)
        return Scores(judgements=judgements, batch_sizes=(len(requests),))
