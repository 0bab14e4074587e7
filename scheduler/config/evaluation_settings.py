"""What decides the results of an evaluation, apart from the checkpoint: whether two of them can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import msgspec

from scheduler.base.stages import Stage
from scheduler.config.document import Config
from scheduler.config.requests import edit_identity_parameters, editor_spec, reward_spec, score_identity_parameters


def evaluation_settings(config: Config, stages: Sequence[Stage]) -> str:
    """Return a short hash of the benchmark, the prompts, the judge, and of how edits are made and counted.

    Times, devices and places of outputs are no part of it. Of the benchmark, the path counts and not the content.
    """
    data_path = config.benchmark.data_path
    evaluation = config.evaluation
    what = {
        "benchmark": {**config.benchmark.model_dump(mode="json"), "data_path": None},
        "data": None if data_path is None else str(data_path.absolute()),
        "prompts": None if config.benchmark.protocol is not None else config.prompts.as_plain(),
        "editor": [
            msgspec.to_builtins(msgspec.structs.replace(editor_spec(config), name=None)),
            edit_identity_parameters(config),
            config.diffusion_model.params.seed,
        ],
        "reward": [msgspec.to_builtins(reward_spec(config)), score_identity_parameters(config)],
        "counts": [evaluation.samples_per_pair, evaluation.reward_passes],
        "stages": list(stages),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]
