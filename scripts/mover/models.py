"""The editor and the reward with a second copy in CPU memory as their device, and changes of their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from protocol.messages import Residency
from workers.models.editors.qwen_image_edit import QwenImageEditEditor
from workers.models.rewards.qwen3_vl import Qwen3VLReward


class SecondCopyEditor(QwenImageEditEditor):
    """``params.changed`` names what happens to its weights when they are loaded."""

    SECOND_COPY = True

    def load(self, residency: Residency) -> None:
        super().load(residency)
        changed = self.spec.params.get("changed")
        if changed:
            CHANGES[changed](self)

    @property
    def modules(self) -> dict[str, Any]:
        """The modules that move, by name."""
        return {name: getattr(self._pipeline, name) for name in ("text_encoder", "transformer", "vae")}

    def output(self) -> str:
        """The hash of what the transformer makes of a few fixed tokens."""
        import torch

        transformer = self._pipeline.transformer
        config = transformer.config
        generator = torch.Generator().manual_seed(0)

        def drawn(length: int, width: int) -> Any:
            return torch.randn((1, length, width), generator=generator).to(transformer.dtype)

        with torch.no_grad():
            made = transformer(
                hidden_states=drawn(16, config.in_channels),
                encoder_hidden_states=drawn(8, config.joint_attention_dim),
                encoder_hidden_states_mask=torch.ones(1, 8, dtype=torch.int64),
                timestep=torch.tensor([0.5], dtype=transformer.dtype),
                img_shapes=[[(1, 4, 4)]],
                return_dict=False,
            )[0]
        return hashlib.sha256(made.float().numpy().tobytes()).hexdigest()


class SecondCopyReward(Qwen3VLReward):
    """The reward."""

    SECOND_COPY = True

    @property
    def modules(self) -> dict[str, Any]:
        """The modules that move, by name."""
        return {"model": self._model}

    def output(self) -> str:
        """Nothing: its tensors say enough."""
        return ""


def cast(model: SecondCopyEditor) -> None:
    """Cast the transformer."""
    model.modules["transformer"].half()


def merge_lora(model: SecondCopyEditor) -> None:
    """Add a matrix of rank 4 to the queries' weights, in place, as merging a LoRA does."""
    import torch

    generator = torch.Generator().manual_seed(1)
    for block in model.modules["transformer"].transformer_blocks:
        weight = block.attn.to_q.weight
        rows, columns = (torch.randn((4, size), generator=generator) for size in weight.shape)
        weight.data += (rows.T @ columns / 1000).to(weight.dtype)


CHANGES: dict[str, Callable[[SecondCopyEditor], None]] = {"cast": cast, "lora": merge_lora}


def tensors(modules: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """All parameters and buffers, under each of their names."""
    for name, module in modules.items():
        for kind in (module.named_parameters, module.named_buffers):
            for key, tensor in kind(remove_duplicate=False):
                yield f"{name}.{key}", tensor


def hashes(modules: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of each tensor's bytes, with its type and shape."""
    import torch

    made = {}
    for name, tensor in tensors(modules):
        content = tensor.detach().contiguous().view(-1).view(torch.uint8).numpy()
        made[name] = f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(content).hexdigest()}"
    return made
