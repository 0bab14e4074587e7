"""The buffers through which weights go to a device."""

from __future__ import annotations

import logging
from typing import Any

import pytest


def test_without_pinned_memory_buffers_are_pageable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    from workers.models.moving.staging import _pinned

    empty = torch.empty

    def refuses_to_pin(*size: int, pin_memory: bool = False, **more: Any) -> Any:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")
        return empty(*size, **more)

    monkeypatch.setattr(torch, "empty", refuses_to_pin)
    with caplog.at_level(logging.WARNING):
        assert _pinned(1000).shape == (1000,)
    assert "no pinned memory, so weights move to the device slowly: CUDA error: out of memory" in caplog.text
