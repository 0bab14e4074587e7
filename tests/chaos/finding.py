"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["lost", "doubled", "mixed_up", "miscounted", "hung", "aborted", "left_over"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    ``lost``: no result and no true reason; ``doubled``: work done or counted twice; ``mixed_up``: a result of something
    else; ``miscounted``: figures or states that do not agree; ``hung``: no end in time; ``aborted``: an end without a
    cause; ``left_over``: processes, sockets or files that should be gone.
    """

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
