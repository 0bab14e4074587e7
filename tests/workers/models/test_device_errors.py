"""What an exception says of its device. The texts are those of torch 2.13, CUDA 13, cuBLAS, cuDNN and Triton."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.workers.failing_models import ILLEGAL_ACCESS
from workers.interface import ModelError
from workers.models.device_errors import broken_device, is_out_of_memory


class AcceleratorError(RuntimeError):
    """Named like torch's, of which a CPU build has the class, too."""


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


BROKEN = [
    AcceleratorError(ILLEGAL_ACCESS),
    RuntimeError(ILLEGAL_ACCESS),
    AcceleratorError("CUDA error: device-side assert triggered\nSearch for `cudaErrorAssert' in ..."),
    AcceleratorError("CUDA error: uncorrectable ECC error encountered"),
    AcceleratorError("CUDA error: unspecified launch failure"),
    AcceleratorError("CUDA error: misaligned address"),
    AcceleratorError("CUDA error: unknown error"),
    RuntimeError("CUDA driver error: an illegal memory access was encountered"),
    RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, opa, opb)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasLtMatmul( ltHandle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR"),
    AcceleratorError("an error of an accelerator that nobody has seen yet"),
]
OUT_OF_MEMORY = [
    OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB"),
    MemoryError(),
    AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
]
HARMLESS = [
    ValueError(ILLEGAL_ACCESS),
    ModelError("unreadable_reply", "CUDA error: device-side assert triggered"),
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
    SystemExit(3),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: str(error)[:50])
def test_an_error_after_which_nothing_works_is_recognized_and_named_in_one_line(error: Exception) -> None:
    assert broken_device(error) == f"{type(error).__name__}: {str(error).splitlines()[0]}"
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:50])
def test_a_lack_of_memory_breaks_no_device(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert broken_device(error) is None


@pytest.mark.parametrize("error", HARMLESS, ids=lambda error: str(error)[:50])
def test_other_errors_break_no_device(error: BaseException) -> None:
    assert broken_device(error) is None
    assert not is_out_of_memory(error)


def raised(function: Callable[[], None]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever the test raises
        return error
    raise AssertionError("nothing was raised")


def test_the_error_is_found_behind_what_was_raised_from_it_or_while_handling_it() -> None:
    def wrapped() -> None:
        try:
            raise RuntimeError(ILLEGAL_ACCESS)
        except RuntimeError as error:
            raise ModelError("load", "the model can't be loaded") from error

    def hidden() -> None:
        try:
            wrapped()
        except ModelError:
            raise ValueError("while cleaning up") from None

    for function in (wrapped, hidden):
        assert broken_device(raised(function)) == "RuntimeError: CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize("sticky", [True, False])
def test_a_device_is_asked_whether_it_still_works(monkeypatch: pytest.MonkeyPatch, sticky: bool) -> None:
    def synchronize() -> None:
        if sticky:
            raise AcceleratorError(ILLEGAL_ACCESS)

    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=synchronize)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    texts = ("CUDA error: invalid configuration argument", "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling")
    for error in (ValueError("by zero"), *map(AcceleratorError, texts)):
        answer = "AcceleratorError: CUDA error: an illegal memory access was encountered"
        assert broken_device(error) == (answer if sticky else None)
