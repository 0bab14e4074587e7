"""The names of devices: one GPU, several as one device, and those of other machines."""

from __future__ import annotations

import pytest

from protocol.devices import gpu_count, gpu_group, gpus_elsewhere, gpus_of, share_a_gpu


@pytest.mark.parametrize(
    ("device", "here", "count"),
    [
        ("cpu", (), 0),
        ("cuda:3", ("cuda:3",), 1),
        ("cuda:0+1", ("cuda:0", "cuda:1"), 2),
        ("cuda:GPU-aa-1+GPU-bb-2", ("cuda:GPU-aa-1", "cuda:GPU-bb-2"), 2),
        ("gpu", (), 1),
        ("gpu:4", (), 4),
        ("node7:cpu", (), 0),
        ("node7:cuda:2", (), 1),
        ("node7:cuda:0+1+2", (), 3),
    ],
)
def test_a_device_has_gpus(device: str, here: tuple[str, ...], count: int) -> None:
    assert gpus_of(device) == here, "those of this machine"
    assert gpu_count(device) == count


def test_the_name_of_several_gpus() -> None:
    assert [gpu_group(entries) for entries in ([2], [3, 0], ["GPU-a"])] == ["cuda:2", "cuda:3+0", "cuda:GPU-a"]
    assert [gpus_elsewhere(count) for count in range(3)] == ["cpu", "gpu", "gpu:2"]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("cuda:0+1", "cuda:1", True),
        ("cuda:0+1", "cuda:1+2", True),
        ("cuda:0+1", "cuda:2+3", False),
        ("cuda:1", "cuda:11", False),
        ("cpu", "cpu", False),
        ("gpu", "gpu", False),
        ("node7:cuda:0", "node7:cuda:0", False),
    ],
)
def test_devices_that_have_a_gpu_in_common_share_it(one: str, other: str, shared: bool) -> None:
    assert share_a_gpu(one, other) == share_a_gpu(other, one) == shared
