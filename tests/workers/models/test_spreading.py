"""On which GPU each layer of a model is that is spread over several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.models.spreading import loads, shares, spread

MB, GB = 10**6, 10**9
TRANSFORMER = [100 * MB, *[680 * MB] * 60, 60 * MB]
ENCODER = [1_400 * MB, *[470 * MB] * 28, 1_100 * MB]
QWEN_IMAGE_EDIT = [ENCODER, TRANSFORMER, [250 * MB]]
"""Sizes of Qwen-Image-Edit in bfloat16: text encoder, transformer, VAE."""


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        ([15, 15, 15, 15], [14.5, 14.2, 14.2, 14.2]),
        ([38, 38], [28.5, 28.6]),
        ([14, 75], [9.0, 47.9]),
        ([75, 14], [48.2, 8.7]),
        ([75, 75], [28.5, 28.6]),
        ([140, 140], [28.5, 28.6]),
    ],
)
def test_the_weights_are_shared_in_proportion_to_the_room(room: list[int], expected: list[float]) -> None:
    held = shares(QWEN_IMAGE_EDIT, [size * GB for size in room])
    assert [size / GB for size in held] == pytest.approx(expected, abs=0.5)
    assert all(size <= space * GB for size, space in zip(held, room, strict=True))


def test_each_component_begins_on_the_first_gpu_and_passes_each_gpu_once() -> None:
    for layers in spread(QWEN_IMAGE_EDIT, [40 * GB, 40 * GB, 20 * GB]):
        assert layers == sorted(layers)
        assert layers[0] == 0


def test_a_component_that_is_small_or_cannot_be_cut_is_whole_on_the_first_gpu() -> None:
    clip = [20 * MB] * 12
    _, _, _, places = spread([*QWEN_IMAGE_EDIT, clip], [38 * GB, 38 * GB])
    assert places == [0] * 12
    assert spread([[9 * GB], [GB, GB]], [10 * GB, 10 * GB])[0] == [0]


def test_one_gpu_holds_all() -> None:
    assert shares(QWEN_IMAGE_EDIT, [GB]) == [sum(map(sum, QWEN_IMAGE_EDIT))]


LAYERS = st.lists(st.lists(st.integers(0, 3 * GB), min_size=1, max_size=40), min_size=1, max_size=4)


@given(components=LAYERS, room=st.lists(st.integers(-GB, 150 * GB), min_size=1, max_size=8))
def test_every_layer_has_one_gpu_and_they_come_in_order(components: list[list[int]], room: list[int]) -> None:
    gpus = spread(components, room)
    assert [len(places) for places in gpus] == [len(layers) for layers in components]
    assert all(places == sorted(places) and set(places) <= set(range(len(room))) for places in gpus)
    assert sum(loads(components, gpus, len(room))) == sum(map(sum, components))


@given(layers=st.integers(30, 80), size=st.integers(100 * MB, 700 * MB), room=st.lists(st.integers(5, 150), min_size=2))
def test_where_there_is_room_for_a_layer_more_than_needed_no_gpu_has_too_much(
    layers: int, size: int, room: list[int]
) -> None:
    spaces = [space * GB for space in room]
    needed = layers * size
    share = needed / sum(spaces)
    held = shares([[size] * layers], spaces)
    assert all(bytes_ <= space * share + size for bytes_, space in zip(held, spaces, strict=True))
