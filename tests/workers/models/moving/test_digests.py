"""Digests differ where tensors do, also in signs alone, which are the highest bits of words."""

from __future__ import annotations

from typing import Any

import pytest


def digest(tensor: Any) -> int:
    from workers.models.moving.digests import digests
    from workers.models.moving.slots import Slot

    (number,) = digests([Slot("tensor", tensor, [])])
    return number


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_change_of_signs_is_a_change(dtype: str) -> None:
    import torch

    tensor = torch.arange(1, 65, dtype=getattr(torch, dtype)).reshape(8, 8)
    columns = [tensor.clone() for _ in range(8)]
    for number, changed in enumerate(columns):
        changed[:, number] *= -1
    alternating = torch.tensor([1, -1, -1, 1], dtype=tensor.dtype)
    assert len({*map(digest, (tensor, -tensor, *columns))}) == 10
    assert digest(alternating) != digest(-alternating)


def test_equal_tensors_have_equal_digests_beside_any_others() -> None:
    import torch

    from workers.models.moving.digests import digests
    from workers.models.moving.slots import Slot

    tensor = torch.arange(3001, dtype=torch.uint8)
    alone, beside = digest(tensor), digests([Slot("a", tensor.clone(), []), Slot("b", torch.ones(10**5), [])])
    assert beside[0] == alone
