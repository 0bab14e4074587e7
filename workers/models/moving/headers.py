"""In which type safetensors files hold their weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
_MOST_HEADER_BYTES = 100_000_000  # the limit of the safetensors library


def stored_as(folder: Path, dtype: str) -> bool:
    """Whether most of the bytes in the folder's safetensors are weights of this dtype (``auto``: of any).

    Then loading maps them. Weights of other types are converted, which takes memory. True for damaged files: loading
    them says what is wrong.
    """
    if dtype not in _NAMES:
        return True
    same = total = 0
    for path in folder.glob("*.safetensors"):
        for tensor in _header(path).values():
            if "data_offsets" in tensor:
                start, stop = tensor["data_offsets"]
                total += stop - start
                same += stop - start if tensor["dtype"] == _NAMES[dtype] else 0
    return 2 * same >= total


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, _MOST_HEADER_BYTES)))
    except (OSError, ValueError, struct.error):
        return {}
    return header if isinstance(header, dict) else {}
