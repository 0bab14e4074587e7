"""What makes an editor faster: the *exact* options change no pixel beyond float noise, the *approximate* ones do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from scheduler.config.values import Conflict, Section

_CACHES = ("first_block_cache", "taylorseer_cache", "cache_dit")


class Optimizations(Section):
    """All are off by default."""

    purpose: ClassVar[str] = "What makes an editor faster; reports say which were on, and whether they change pixels."

    exact: ClassVar[frozenset[str]] = frozenset(
        {"compile_repeated_blocks", "attention_backend", "keep_prompt_embeddings"}
    )

    compile_repeated_blocks: bool = Field(
        default=False,
        description="Exact. Compile the transformer's repeated blocks, once for all shapes; the first edit waits.",
    )
    attention_backend: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")] | None = Field(
        default=None,
        description="Exact. The attention backend as diffusers names it, such as `flash` or `_native_cudnn`.",
    )
    keep_prompt_embeddings: bool = Field(
        default=False, description="Exact. Keep the prompt embeddings of pairs that an editor had before."
    )
    first_block_cache: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Approximate. First-block cache, with this threshold (0.05 to 0.2 is usual).",
    )
    taylorseer_cache: int | None = Field(
        default=None, ge=2, le=50, description="Approximate. TaylorSeer: predict attention in all but every N-th step."
    )
    cache_dit: bool = Field(default=False, description="Approximate. The package cache-dit with its own defaults.")
    fp8: bool = Field(default=False, description="Approximate. Store the transformer's weights in 8-bit floats.")
    lightning_lora: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description=(
            "Approximate. A Lightning LoRA for few steps (a .safetensors file, or OWNER/NAME/FILE on the hub); "
            "set num_inference_steps and true_cfg_scale too."
        ),
    )

    def conflicts(self) -> Iterator[Conflict]:
        on = [name for name in _CACHES if getattr(self, name)]
        if len(on) > 1:
            yield Conflict(tuple((name,) for name in on), f"only one cache at a time, found {' and '.join(on)}")
        if self.fp8 and self.compile_repeated_blocks:
            yield Conflict(
                (("compile_repeated_blocks",), ("fp8",)),
                "weights that change their type in every layer can't be compiled with profit",
                "keep one of the two",
            )

    def switched_on(self) -> dict[str, Any]:
        """Name to value of every option that is on, as a worker needs it: a local file's path is absolute."""
        found = {name: value for name, value in self.model_dump().items() if value not in (None, False)}
        if self.lightning_lora is not None and is_local_file(self.lightning_lora):
            found["lightning_lora"] = str(Path(self.lightning_lora).expanduser().absolute())
        return found

    def by_exactness(self) -> dict[str, dict[str, Any]]:
        """Those that are on, as ``exact`` and as ``approximate``."""
        on = self.switched_on()
        return {
            "exact": {name: value for name, value in on.items() if name in self.exact},
            "approximate": {name: on[name] for name in self.approximate()},
        }

    def approximate(self) -> tuple[str, ...]:
        """The options that are on and change pixels."""
        return tuple(name for name in self.switched_on() if name not in self.exact)


def is_local_file(name: str) -> bool:
    """Whether a LoRA's name means a file here: by its looks, or because there is one. Else it is on the hub."""
    try:
        return name.startswith(("/", "./", "../", "~")) or Path(name).exists()
    except (OSError, ValueError):
        return True
