"""The section ``reward_model``: which model scores the edits, how it is asked, and in which environment it lives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainValidator

from scheduler.config.editor_models import Dtype, ModelName, repeated_devices, unfit_free_params
from scheduler.config.problems import shown
from scheduler.config.simulation import Simulation
from scheduler.config.values import Allowed, Conflict, DeviceIds, FilePath, RewardDevice, Section

_LIMIT = 1e6
_HIGHEST_LOGITS_SCORE = 19


def _score_range(value: object) -> tuple[float, float]:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        low, high = value
        numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in value)
        if numbers and -_LIMIT < low < high < _LIMIT:
            return low, high
    raise ValueError(f"must be two numbers, the lower one first, such as [0, 10], found {shown(value)}")


def _never(value: object) -> Literal[False]:
    if value is False:
        return False
    raise ValueError(f"must be false: a score that is drawn by lot can't be had twice, found {shown(value)}")


def _conda_env(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^\s/:#\0-\x1f]{1,200}", value) and value not in {".", ".."}:
        return value
    raise ValueError(
        f"must be the name of a conda environment, found {shown(value)}; give a folder's python as `python`"
    )


class RewardParams(Section):
    """What every reward takes."""

    model_name: ModelName | None = Field(default=None, description="Which model: a folder, or a name on the hub.")
    device: RewardDevice = Field(
        default="auto",
        description="`auto`: a GPU that no editor uses, else one process on each of the editors' GPUs, without GPUs "
        "the CPU; or `cuda` (the first visible GPU), `cuda:N`, `cpu`.",
    )
    device_ids: DeviceIds | None = Field(
        default=None, description="Instead of `device`: one process per entry, CUDA indices or `cpu`."
    )
    dtype: Dtype = Field(default="bfloat16", description="The type of the weights.")
    scoring: Literal["generate", "logits"] = Field(
        default="generate",
        description="`generate`: the reply's text is read; `logits`: the expected score in one pass.",
    )
    score_range: Annotated[
        tuple[float, float], PlainValidator(_score_range), Allowed("two numbers, the lower one first")
    ] = Field(
        default=(0, 10),
        description="The lowest and the highest score. `logits` needs whole numbers from 0 to 19; the built-in "
        "prompts ask for 0 to 10.",
    )
    max_new_tokens: int = Field(default=128, ge=1, le=32_768, description="The longest reply, in tokens.")
    do_sample: Annotated[Literal[False], PlainValidator(_never), Allowed("`false`")] = Field(
        default=False, description="Always false: scores must not depend on luck."
    )
    use_flash_attention: bool = Field(default=False, description="FlashAttention 2, where it is installed.")
    compare_with_original: bool = Field(default=False, description="Show the model the source image beside the edit.")
    use_batch_inference: bool = Field(default=True, description="Score in batches; false: one at a time.")
    batch_size: int = Field(
        default=4, ge=1, le=256, description="Edits per batch; halved by itself where memory is short."
    )
    min_pixels: int | None = Field(
        default=None,
        ge=1,
        le=2**28,
        description="Smaller images are enlarged to so many pixels before they are scored.",
    )
    max_pixels: int | None = Field(
        default=None, ge=1, le=2**28, description="Larger images are reduced to so many pixels before they are scored."
    )
    threads_per_worker: int = Field(default=1, ge=1, le=256, description="CPU threads of torch in each worker.")

    @property
    def effective_batch_size(self) -> int:
        """How many edits really go into a batch: 1 without ``use_batch_inference``."""
        return self.batch_size if self.use_batch_inference else 1

    def conflicts(self) -> Iterator[Conflict]:
        yield from repeated_devices(self.device_ids)
        if self.device_ids is not None and self.device != "auto":
            yield Conflict((("device_ids",), ("device",)), "is given beside `device`", "keep one of the two")
        if self.min_pixels is not None and self.max_pixels is not None and self.min_pixels > self.max_pixels:
            message = f"{self.min_pixels} is above max_pixels, {self.max_pixels}"
            yield Conflict((("min_pixels",), ("max_pixels",)), message)
        low, high = self.score_range
        whole = float(low).is_integer() and float(high).is_integer()
        if self.scoring == "logits" and not (whole and low >= 0 and high <= _HIGHEST_LOGITS_SCORE):
            message = (
                f"scoring by logits needs whole numbers from 0 to {_HIGHEST_LOGITS_SCORE}, found [{low:g}, {high:g}]"
            )
            yield Conflict((("score_range",), ("scoring",)), message, "or write `scoring: generate`")


class Qwen3VLParams(RewardParams):
    """Qwen3-VL in the scheduler's own environment."""

    model_name: ModelName = Field(
        default="Qwen/Qwen3-VL-30B-A3B-Instruct",
        description="A folder that holds a Qwen VL model, or a name on the hub.",
    )


class OtherEnvironment(Section):
    conda_env: Annotated[str, PlainValidator(_conda_env), Allowed("name")] | None = Field(
        default=None, description="The name of the conda environment that the reward runs in."
    )
    python: FilePath | None = Field(
        default=None, description="Instead of `conda_env`: the Python that the reward runs in."
    )


class Qwen3VLSubprocessParams(OtherEnvironment, Qwen3VLParams):
    """Qwen3-VL in an environment of its own."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.conda_env is not None and self.python is not None:
            yield Conflict((("conda_env",), ("python",)), "is given beside `python`", "keep one of the two")
        if self.conda_env is None and self.python is None:
            message = "is missing: the reward runs in an environment of its own"
            yield Conflict((("conda_env",), ("python",)), message, "give `conda_env: NAME` or `python: PATH`")


class SimulatedRewardParams(Simulation, OtherEnvironment, RewardParams):
    """Takes every key of the real rewards beside its own; ``conda_env`` and ``python`` change nothing."""

    model_name: ModelName | None = Field(default="simulated", description="A name for the report; nothing is loaded.")
    latency_ms: float = Field(default=100.0, ge=0, le=3_600_000, description="Milliseconds a batch holds the device.")
    per_item_ms: float = Field(default=0.0, ge=0, le=3_600_000, description="Milliseconds more per edit of the batch.")
    prefers: Literal["nothing", "change"] = Field(
        default="nothing",
        description="`nothing`: the score is a hash of the image's bytes; `change`: it grows with how much the pixels "
        "differ from the source's.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        yield from RewardParams.conflicts(self)
        if self.prefers == "change" and not self.compare_with_original:
            message = "change can't be seen without the source"
            yield Conflict((("prefers",), ("compare_with_original",)), message, "write `compare_with_original: true`")


class OwnRewardParams(RewardParams):
    """The keys that all rewards share, and whatever else the user's own class wants."""

    model_config = ConfigDict(extra="allow")

    model_name: ModelName | None = Field(default=None, description="Handed to the class as it is.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        yield from unfit_free_params(self.model_extra)


class RewardModel(Section):
    """What all rewards' sections have in common."""

    purpose: ClassVar[str] = "The reward: which model scores the edits, how, and on which devices."

    type: str | None = Field(default=None, description="Which reward.")
    class_path: str | None = Field(default=None, description="A class of one's own, instead of `type`.")
    params: RewardParams = Field(default_factory=RewardParams, description="The reward's parameters.")

    holds_gpu: ClassVar[bool] = True
    """Whether its CUDA devices must exist."""


class Qwen3VL(RewardModel):
    """Qwen3-VL in the environment of the scheduler."""

    type: Literal["qwen3_vl"] = Field(default="qwen3_vl", description="Qwen3-VL, in the same environment.")
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: Qwen3VLParams = Field(default_factory=Qwen3VLParams, description="The reward's parameters.")


class Qwen3VLSubprocess(RewardModel):
    """Qwen3-VL in an environment of its own."""

    type: Literal["qwen3_vl_subprocess"] = Field(
        default="qwen3_vl_subprocess", description="Qwen3-VL, in an environment of its own."
    )
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: Qwen3VLSubprocessParams = Field(
        default_factory=Qwen3VLSubprocessParams, description="The reward's parameters."
    )


class SimulatedReward(RewardModel):
    """Holds a device for a set time; its score is a fixed function of the image's bytes."""

    type: Literal["simulated"] = Field(
        default="simulated", description="A score from the image's bytes, after a set time."
    )
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: SimulatedRewardParams = Field(default_factory=SimulatedRewardParams, description="The reward's parameters.")

    holds_gpu: ClassVar[bool] = False


class OwnReward(RewardModel):
    """A reward of the user's own."""

    type: None = Field(default=None, description="Not beside a class of one's own.")
    class_path: Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", max_length=500)] = Field(
        default="package.module.ClassName", description="A class that derives from `workers.interface.Reward`."
    )
    params: OwnRewardParams = Field(default_factory=OwnRewardParams, description="The reward's parameters.")


REWARDS: dict[str, type[RewardModel]] = {
    "qwen3_vl": Qwen3VL,
    "qwen3_vl_subprocess": Qwen3VLSubprocess,
    "simulated": SimulatedReward,
}
