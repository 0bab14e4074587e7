"""The inputs of the model: tokens and image patches for each row, which are padded and joined for each batch.

Rows are prepared while the device works, before the sizes of the next batches are known. Patches do not depend on the
question, so several questions about one edit share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from PIL import Image

from workers.interface import ScoreRequest
from workers.models.rewards.conversations import Conversation, refuse_special_tokens


class Patches(Struct, frozen=True, eq=False):
    """Images as tensors on the host: ``values`` is float32 of shape (patches, values of one), ``grids`` has the number
    of patches along time, height and width, of shape (images, 3)."""

    values: Any
    grids: Any


class TokenRow(Struct, frozen=True, eq=False):
    """One conversation. ``tokens`` has the placeholder of each image as often as the image has tokens."""

    tokens: Sequence[int]
    patches: Patches


@dataclass(frozen=True)
class PreparedRequest(ScoreRequest):
    """A request with its first question as a row; None where preparing it failed."""

    row: TokenRow | None = None

    @property
    def length(self) -> int:
        """In tokens; 0 if it is not known."""
        return len(self.row.tokens) if self.row is not None else 0


def to_patches(processor: Any, images: Sequence[Image.Image]) -> Patches:
    """Resize the images for the model and cut them into patches."""
    inputs = processor.image_processor(images=list(images), return_tensors="pt")
    return Patches(inputs["pixel_values"], inputs["image_grid_thw"])


def to_prompt(processor: Any, conversation: Conversation) -> str:
    """Fill in the chat template, up to where the model's answer begins."""
    return str(processor.apply_chat_template(list(conversation.turns), tokenize=False, add_generation_prompt=True))


def to_tokens(processor: Any, conversation: Conversation, patches: Patches) -> list[int]:
    """Fill in the chat template and tokenize it.

    Raises:
        ValueError: a text contains a special token of the model.
    """
    refuse_special_tokens(conversation, processor.tokenizer.all_special_tokens)
    before, *after = to_prompt(processor, conversation).split(processor.image_token)
    counts = (patches.grids.prod(dim=-1) // processor.image_processor.merge_size**2).tolist()
    placeholders = [processor.image_token * count + rest for count, rest in zip(counts, after, strict=True)]
    tokens: list[int] = processor.tokenizer("".join([before, *placeholders]))["input_ids"]
    return tokens


def to_inputs(processor: Any, rows: Sequence[TokenRow], device: Any, *, with_types: bool) -> Mapping[str, Any]:
    """The tensors of a batch, left-padded, on ``device``; ``with_types`` adds which tokens are those of images."""
    import torch

    width = max(len(row.tokens) for row in rows)
    ids = torch.full((len(rows), width), processor.tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        start = width - len(row.tokens)
        ids[index, start:] = torch.tensor(row.tokens)
        mask[index, start:] = 1
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        # Joined on the GPU, if the model is on one: that costs least.
        "pixel_values": torch.cat([row.patches.values.to(device) for row in rows]),
        "image_grid_thw": torch.cat([row.patches.grids for row in rows]),
    }
    if with_types:
        image_token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
        inputs["mm_token_type_ids"] = (ids == image_token).long()
    return {name: tensor.to(device) for name, tensor in inputs.items()}
