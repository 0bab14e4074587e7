"""What a shard of a benchmark is called: ``2/8``."""

from __future__ import annotations

import re

from msgspec import Struct

_TEXT = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


class Shard(Struct, frozen=True, order=True):
    """The shard ``number``, from 1, of ``count``."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"there is no shard {self.number} of {self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``2/8`` names; raises ``ValueError`` for any other text."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no shard: expected I/N, such as 2/8")
        return cls(int(match[1]), int(match[2]))
