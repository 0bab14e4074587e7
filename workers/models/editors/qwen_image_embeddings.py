"""Keeps prompt embeddings, so that the text encoder does not compute the same one twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MOST_BYTES = 1024**3
"""In host memory. The two embeddings of a pair take about 15 MB in bfloat16, so this is about seventy pairs."""


class KeptEmbeddings:
    """Replaces ``encode_prompt`` of a pipeline; the least recently used embeddings are dropped first.

    Both prompts, also the negative one, go through the text encoder together with the source image. So an embedding
    is valid for one prompt and one image.
    """

    def __init__(self, encode: Callable[..., tuple[Any, Any]], most_bytes: int = MOST_BYTES) -> None:
        self._encode = encode
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, ...], tuple[Any, Any]] = OrderedDict()
        self._bytes = 0

    def __call__(self, *, prompt: str, image: Any, device: Any, **others: Any) -> tuple[Any, Any]:
        """Return embeddings and mask. ``image`` is one image or a list; ``others`` are the same in every call."""
        key = (prompt, *(_digest(part) for part in (image if isinstance(image, list) else [image])))
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return _moved(kept, device)
        made = self._encode(prompt=prompt, image=image, device=device, **others)
        self._keep(key, _moved(made, "cpu"))
        return made

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self._bytes = 0

    def _keep(self, key: tuple[str, ...], made: tuple[Any, Any]) -> None:
        self._kept[key] = made
        self._bytes += _size(made)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _moved(pair: tuple[Any, Any], device: Any) -> tuple[Any, Any]:
    embeddings, mask = pair
    return embeddings.to(device), None if mask is None else mask.to(device)


def _size(pair: tuple[Any, Any]) -> int:
    return sum(int(tensor.nbytes) for tensor in pair if tensor is not None)


def _digest(image: Any) -> str:
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
