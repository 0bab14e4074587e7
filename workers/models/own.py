"""What is declared for a class of the user's own (``class_path``): the keys of its role, and any others."""

from __future__ import annotations

from protocol.messages import Role
from workers.models.declaration import ModelType, with_keys
from workers.models.keys import EDITOR_KEYS, REWARD_KEYS, judging_conflicts, model_name

_NAME = model_name(None, "Given to the class as it is.")

OWN: dict[Role, ModelType] = {
    "editor": ModelType(
        name="class_path",
        role="editor",
        meaning="A class that derives from `workers.interface.Editor`.",
        target="",
        keys=with_keys(EDITOR_KEYS, _NAME),
        entry_file="model_index.json",
        free=True,
    ),
    "reward": ModelType(
        name="class_path",
        role="reward",
        meaning="A class that derives from `workers.interface.Reward`.",
        target="",
        keys=with_keys(REWARD_KEYS, _NAME),
        rules=(judging_conflicts,),
        entry_file="config.json",
        free=True,
    ),
}
