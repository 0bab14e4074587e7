"""What makes an editor faster: the *exact* options change no pixel beyond float noise, the *approximate* ones do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from scheduler.config.values import Conflict, Section

IMPLEMENTED: frozenset[str] = frozenset()
"""Those that the editors of this version have; the others are refused by name before a run begins."""

_CACHES = ("first_block_cache", "taylorseer_cache", "cache_dit")


class Optimizations(Section):
    """All are off by default."""

    purpose: ClassVar[str] = "What makes an editor faster; reports say which were on, and whether they change pixels."

    exact: ClassVar[frozenset[str]] = frozenset(
        {"compile_repeated_blocks", "attention_backend", "keep_prompt_embeddings"}
    )

    compile_repeated_blocks: bool = Field(
        default=False,
        description="Exact. Compile the transformer's repeated blocks; costs seconds per image shape, once.",
    )
    attention_backend: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")] | None = Field(
        default=None,
        description="Exact. The attention backend as diffusers names it, such as `flash` or `_native_cudnn`.",
    )
    keep_prompt_embeddings: bool = Field(
        default=False, description="Exact. Keep the embeddings of the negative prompt and of instructions seen before."
    )
    first_block_cache: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Approximate. First-block cache, with this threshold (0.05 to 0.2 is usual).",
    )
    taylorseer_cache: int | None = Field(
        default=None, ge=2, le=50, description="Approximate. TaylorSeer: predict all but every N-th step."
    )
    cache_dit: bool = Field(default=False, description="Approximate. The package cache-dit with its own defaults.")
    fp8: bool = Field(default=False, description="Approximate. Store the transformer's weights in 8-bit floats.")
    lightning_lora: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="Approximate. A Lightning LoRA (a path or a hub name) for few steps; set num_inference_steps too.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        on = [name for name in _CACHES if getattr(self, name)]
        if len(on) > 1:
            yield Conflict(tuple((name,) for name in on), f"only one cache at a time, found {' and '.join(on)}")

    def switched_on(self) -> dict[str, Any]:
        """Name to value of every option that is on."""
        return {name: value for name, value in self.model_dump().items() if value not in (None, False)}

    def approximate(self) -> tuple[str, ...]:
        """The options that are on and change pixels."""
        return tuple(name for name in self.switched_on() if name not in self.exact)
