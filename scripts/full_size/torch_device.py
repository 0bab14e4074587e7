"""What the measurements ask of torch: to wait for a GPU, and how much of its memory tensors took."""

from __future__ import annotations


def synchronize(device: str) -> None:
    """Wait until the GPU has done all that it was asked for; a CPU has."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def forget_peak(device: str) -> None:
    """Begin to measure the peak anew."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def torch_peak(device: str) -> float:
    """The peak memory of tensors on the GPU, in GB; 0 for a CPU."""
    import torch

    return round(torch.cuda.max_memory_allocated(device) / 1e9, 2) if device.startswith("cuda") else 0.0
