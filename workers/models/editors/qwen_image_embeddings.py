"""Prompt embeddings that an editor has made before: the text encoder is not asked the same twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MOST_BYTES = 1024**3
"""In host memory. A pair's two embeddings take about 15 MB in bfloat16, so that this is about seventy pairs."""


class KeptEmbeddings:
    """Stands in the place of a pipeline's ``encode_prompt``; what was used last is kept longest.

    Both prompts, the negative one too, go through the text encoder together with the source image. So an embedding
    holds for one prompt and one image, and none is the same for all pairs.
    """

    def __init__(self, encode: Callable[..., tuple[Any, Any]], most_bytes: int = MOST_BYTES) -> None:
        self._encode = encode
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, ...], tuple[Any, Any]] = OrderedDict()
        self._bytes = 0

    def __call__(self, *, prompt: str, image: Any, device: Any, **others: Any) -> tuple[Any, Any]:
        """``image`` is what the text encoder sees, or a list of such; ``others`` are the same in every call."""
        key = (prompt, *(_digest(one) for one in (image if isinstance(image, list) else [image])))
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return _moved(found, device)
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
