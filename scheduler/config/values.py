"""The base of every section, and the kinds of value that several sections share."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator

from scheduler.config.problems import shown
from workers.models.declaration import Conflict

MAX_CUDA_INDEX = 255


class Allowed(Struct, frozen=True):
    """Metadata of a type: the values that it takes, in words for the reference."""

    words: str


class Section(BaseModel):
    """A mapping of the config: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,  # no run uses all sections, and to build each takes 2 ms
    )

    purpose: ClassVar[str] = ""
    """The purpose of the mapping in one sentence, for the reference."""

    def conflicts(self) -> Iterator[Conflict]:
        """Conflicts between values; checked even if other values of the file are wrong."""
        return iter(())


DeviceId = int | Literal["cpu"]
"""A CUDA index among the visible GPUs, or the CPU."""


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"must be a path, found {shown(value) if value != '' else 'an empty text'}")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"no home folder is known for {shown(value)}") from error


FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str, return_type=str)]
"""A path; ``~`` is expanded, and what is relative is relative to the working directory."""


def _device_id(value: object) -> DeviceId:
    if value == "cpu":
        return "cpu"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CUDA_INDEX:
        return value
    index = re.fullmatch(r"(?:cuda:|gpu:?)?(\d{1,3})", value) if isinstance(value, str) else None
    advice = f": write {index.group(1)}" if index else ""
    raise ValueError(f"must be a CUDA index (0, 1, ...) or cpu, found {shown(value)}{advice}")


DeviceIds = Annotated[
    tuple[Annotated[DeviceId, PlainValidator(_device_id)], ...],
    Field(strict=False, min_length=1, max_length=256),
    Allowed("list of CUDA indices and `cpu`"),
]


def device_name(allowed: tuple[str, ...], value: object) -> str:
    """Return the value, which names a device.

    Raises:
        ValueError: it is neither one of ``allowed`` nor ``cuda:N``.
    """
    if isinstance(value, str) and (value in allowed or re.fullmatch(r"cuda:\d{1,3}", value)):
        return value
    advice = f": write cuda:{value}" if isinstance(value, int) and not isinstance(value, bool) else ""
    raise ValueError(f"must be {', '.join(allowed)} or cuda:N, found {shown(value)}{advice}")


def check_name(value: object) -> str:
    """Return a category's name as text.

    Raises:
        ValueError: the value can't be a category.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a name, found {shown(value)}")
    if not 1 <= len(value) <= 200:
        raise ValueError(f"must have 1 to 200 characters, found {len(value)}")
    if value in {".", ".."} or any(char in "/\\" or unicodedata.category(char) in {"Cc", "Cs"} for char in value):
        raise ValueError(f"must not be . or .., nor hold /, \\ or control characters, found {shown(value)}")
    return value


CategoryName = Annotated[str, PlainValidator(check_name), Allowed("names")]
"""A category as the data names it: text of 1 to 200 characters, or an integer, which becomes its digits."""


def _whole_or_share(value: object) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9:
        return value
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        return value
    raise ValueError(f"must be a count (0, 1, 2, ...) or a fraction (0.0 to 1.0), found {shown(value)}")


CountOrFraction = Annotated[
    int | float, PlainValidator(_whole_or_share), Allowed("count (`5`), or fraction from `0.0` to `1.0` (`0.05`)")
]
"""An integer is a count, a number with a point a share of the whole."""


def plain_problem(value: Any, depth: int = 0) -> str | None:
    """Why a free parameter can't be sent to a worker; None for text, finite numbers, lists and mappings."""
    if depth > 20:
        return "is nested deeper than 20 levels"
    if value is None or isinstance(value, (bool, str)):
        return None
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else f"must fit into 64 bits, found {shown(value)}"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"must be finite, found {shown(value)}"
    if isinstance(value, dict):
        return next((problem for item in value.values() if (problem := plain_problem(item, depth + 1))), None)
    if isinstance(value, list):
        return next((problem for item in value if (problem := plain_problem(item, depth + 1))), None)
    return f"must be text, a number, a list or a mapping, found {type(value).__name__}"
