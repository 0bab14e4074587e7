"""The two stages of a run, and the role of each."""

from __future__ import annotations

from typing import Literal

from protocol import messages as m

Stage = Literal["edit", "score"]
BOTH_STAGES: tuple[Stage, ...] = ("edit", "score")
ROLES: dict[Stage, m.Role] = {"edit": "editor", "score": "reward"}
