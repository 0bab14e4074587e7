"""The section ``diffusion_model``: which editor, with what parameters, on which devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from scheduler.config.optimizations import Optimizations
from scheduler.config.problems import shown
from scheduler.config.simulation import Simulation
from scheduler.config.values import (
    MAX_SEED,
    Conflict,
    DeviceIds,
    EditorDevice,
    Section,
    plain_problem,
)

ModelName = Annotated[str, Field(min_length=1, max_length=4096)]
Dtype = Literal["bfloat16", "float16", "float32"]
Pixels = Annotated[int, Field(ge=16, le=16_384)]

_ONE_DEVICE = "Where it works: `cuda` (the first visible GPU), `cuda:N` or `cpu`."
_MANY_DEVICES = (
    "One worker per entry: CUDA indices among the visible GPUs, or `cpu`, which may be repeated. "
    "Left out: all visible GPUs but the reward's."
)


class EditorParams(Section):
    """What every editor takes."""

    model_name: ModelName | None = Field(default=None, description="Which model: a folder, or a name on the hub.")
    dtype: Dtype = Field(default="bfloat16", description="The type of the weights.")
    num_inference_steps: int = Field(
        default=50, ge=1, le=1000, description="Denoising steps: more is slower and better."
    )
    true_cfg_scale: float = Field(
        default=4.0,
        ge=0,
        le=100,
        description="How closely the instruction is followed; 1 or less switches guidance off.",
    )
    negative_prompt: Annotated[str, Field(max_length=10_000)] = Field(
        default=" ", description="What the edit should not be; guidance works against it."
    )
    seed: int = Field(
        default=0, ge=0, le=MAX_SEED, description="Seeds the noise of every pair; sample i of a pair takes seed + i."
    )
    height: Pixels | None = Field(
        default=None, description="Of the edit, in pixels; left out: what the pipeline chooses."
    )
    width: Pixels | None = Field(
        default=None, description="Of the edit, in pixels; left out: what the pipeline chooses."
    )
    enable_batch_sync: bool = Field(
        default=True,
        description="Editors work in rounds, with a barrier after each; false: each goes on when it is free.",
    )
    disable_progress_bar: bool = Field(
        default=True, description="Accepted as older configs have it; no bar is ever shown for a single edit."
    )
    threads_per_worker: int = Field(
        default=1, ge=1, le=256, description="CPU threads of torch in each worker; changes the last bits of an edit."
    )
    optimizations: Optimizations = Field(
        default_factory=Optimizations,
        description="What makes the editor faster; by default nothing that changes a pixel.",
    )


class OneDevice(Section):
    device: EditorDevice = Field(default="cuda", description=_ONE_DEVICE)


class ManyDevices(Section):
    device_ids: DeviceIds | None = Field(default=None, description=_MANY_DEVICES)

    def conflicts(self) -> Iterator[Conflict]:
        yield from repeated_devices(self.device_ids)


class AnyDevices(Section):
    device: EditorDevice | None = Field(default=None, description=_ONE_DEVICE)
    device_ids: DeviceIds | None = Field(default=None, description=_MANY_DEVICES)

    def conflicts(self) -> Iterator[Conflict]:
        yield from repeated_devices(self.device_ids)
        if self.device is not None and self.device_ids is not None:
            yield Conflict((("device_ids",), ("device",)), "is given beside `device`", "keep one of the two")


def repeated_devices(device_ids: tuple[int | str, ...] | None) -> Iterator[Conflict]:
    """CUDA indices that are named twice: two workers of one role never share a GPU."""
    indices = [entry for entry in device_ids or () if entry != "cpu"]
    for index in sorted({entry for entry in indices if indices.count(entry) > 1}, key=str):
        yield Conflict(
            (("device_ids",),), f"CUDA index {index} is there twice", "one worker per GPU; only `cpu` may repeat"
        )


class QwenParams(EditorParams):
    """Qwen-Image-Edit and its checkpoints."""

    model_name: ModelName = Field(
        default="Qwen/Qwen-Image-Edit", description="A folder that holds a diffusers pipeline, or a name on the hub."
    )


class QwenImageEditParams(OneDevice, QwenParams):
    """One editor on one device."""


class MultiGpuQwenImageEditParams(ManyDevices, QwenParams):
    """One editor per device."""


class IdentityParams(AnyDevices, EditorParams):
    """Takes every key of the real editors, and needs none."""

    model_name: ModelName | None = Field(default="identity", description="A name for the report; nothing is loaded.")


class SimulatedEditorParams(Simulation, AnyDevices, EditorParams):
    """Takes every key of the real editors beside its own."""

    model_name: ModelName | None = Field(default="simulated", description="A name for the report; nothing is loaded.")


class OwnEditorParams(AnyDevices, EditorParams):
    """The keys that all editors share, and whatever else the user's own class wants."""

    model_config = ConfigDict(extra="allow")

    model_name: ModelName | None = Field(default=None, description="Handed to the class as it is.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        yield from unfit_free_params(self.model_extra)


def unfit_free_params(extra: dict[str, Any] | None) -> Iterator[Conflict]:
    """Free parameters that no message can carry."""
    for key, value in (extra or {}).items():
        if problem := plain_problem(value):
            yield Conflict(((key,),), problem)


class DiffusionModel(Section):
    """What all editors' sections have in common."""

    purpose: ClassVar[str] = "The editor: which diffusion pipeline, on which devices."

    type: str | None = Field(default=None, description="Which editor.")
    class_path: str | None = Field(default=None, description="A class of one's own, instead of `type`.")
    params: EditorParams = Field(default_factory=EditorParams, description="The editor's parameters.")

    holds_gpu: ClassVar[bool] = True
    """Whether its CUDA devices must exist."""


class QwenImageEdit(DiffusionModel):
    """Qwen-Image-Edit on one device."""

    type: Literal["qwen_image_edit"] = Field(default="qwen_image_edit", description="One editor on one device.")
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: QwenImageEditParams = Field(default_factory=QwenImageEditParams, description="The editor's parameters.")


class MultiGpuQwenImageEdit(DiffusionModel):
    """Qwen-Image-Edit, one worker per device."""

    type: Literal["multi_gpu_qwen_image_edit"] = Field(
        default="multi_gpu_qwen_image_edit", description="One editor per device; also written `multi_gpu_qwen_edit`."
    )
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: MultiGpuQwenImageEditParams = Field(
        default_factory=MultiGpuQwenImageEditParams, description="The editor's parameters."
    )


class Identity(DiffusionModel):
    """Gives back the source: what no edit at all scores."""

    type: Literal["identity"] = Field(default="identity", description="Gives back the source image.")
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: IdentityParams = Field(default_factory=IdentityParams, description="The editor's parameters.")

    holds_gpu: ClassVar[bool] = False


class SimulatedEditor(DiffusionModel):
    """Holds a device for a set time; for measuring and for breaking things."""

    type: Literal["simulated"] = Field(default="simulated", description="Inverts the image after a set time.")
    class_path: None = Field(default=None, description="Not beside a built-in type.")
    params: SimulatedEditorParams = Field(default_factory=SimulatedEditorParams, description="The editor's parameters.")

    holds_gpu: ClassVar[bool] = False


class OwnEditor(DiffusionModel):
    """An editor of the user's own."""

    type: None = Field(default=None, description="Not beside a class of one's own.")
    class_path: Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", max_length=500)] = Field(
        default="package.module.ClassName", description="A class that derives from `workers.interface.Editor`."
    )
    params: OwnEditorParams = Field(default_factory=OwnEditorParams, description="The editor's parameters.")


EDITORS: dict[str, type[DiffusionModel]] = {
    "qwen_image_edit": QwenImageEdit,
    "multi_gpu_qwen_image_edit": MultiGpuQwenImageEdit,
    "identity": Identity,
    "simulated": SimulatedEditor,
}
EDITOR_ALIASES = {"multi_gpu_qwen_edit": "multi_gpu_qwen_image_edit"}


def params_class(section: type[Section]) -> type[Section]:
    """The class of a section's ``params``."""
    annotation = section.model_fields["params"].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, Section)):
        raise TypeError(f"{section.__name__}.params is {shown(str(annotation))}, not a section")
    return annotation
