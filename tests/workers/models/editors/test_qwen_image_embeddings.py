"""Which prompt embeddings are kept, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from workers.models.editors.qwen_image_embeddings import KeptEmbeddings

BYTES = 4 * 8


class Encoder:
    """Makes eight floats of a prompt, and no mask; knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, *, prompt: str, image: Any, device: Any) -> tuple[Any, Any]:
        import torch

        if prompt == "fails":
            raise MemoryError
        self.asked.append(prompt)
        return torch.full((8,), float(len(self.asked)), device=device), None


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


def image(colour: str = "red", size: tuple[int, int] = (4, 2)) -> Image.Image:
    return Image.new("RGB", size, colour)


def test_the_same_prompt_with_the_same_image_is_made_once(encoder: Encoder) -> None:
    kept = KeptEmbeddings(encoder)
    first = kept(prompt="a", image=image(), device="cpu")
    again = kept(prompt="a", image=image(), device="cpu")
    assert first[0].equal(again[0])
    assert again[1] is None
    assert encoder.asked == ["a"]


@pytest.mark.parametrize("other", [image("blue"), image(size=(2, 4)), image().convert("L"), [image(), image()]])
def test_another_image_is_another_embedding(encoder: Encoder, other: Any) -> None:
    kept = KeptEmbeddings(encoder)
    kept(prompt="a", image=image(), device="cpu")
    kept(prompt="a", image=other, device="cpu")
    assert encoder.asked == ["a", "a"]


def test_a_failure_is_not_kept(encoder: Encoder) -> None:
    kept = KeptEmbeddings(encoder)
    for _ in range(2):
        with pytest.raises(MemoryError):
            kept(prompt="fails", image=image(), device="cpu")


def test_what_was_used_longest_ago_goes_first_and_the_bytes_are_bounded(encoder: Encoder) -> None:
    kept = KeptEmbeddings(encoder, most_bytes=2 * BYTES)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        kept(prompt=prompt, image=image(), device="cpu")
    assert encoder.asked == ["a", "b", "c", "b"]


def test_what_is_larger_than_all_the_room_is_not_kept(encoder: Encoder) -> None:
    kept = KeptEmbeddings(encoder, most_bytes=BYTES - 1)
    for _ in range(2):
        kept(prompt="a", image=image(), device="cpu")
    assert encoder.asked == ["a", "a"]


def test_after_clearing_there_is_room_for_all_again(encoder: Encoder) -> None:
    kept = KeptEmbeddings(encoder, most_bytes=2 * BYTES)
    for prompt in ("a", "b"):
        kept(prompt=prompt, image=image(), device="cpu")
    kept.clear()
    for prompt in ("a", "b", "a", "b"):
        kept(prompt=prompt, image=image(), device="cpu")
    assert encoder.asked == ["a", "b", "a", "b"]
