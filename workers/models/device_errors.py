"""What an exception says of its device: out of memory, or broken for as long as the process lives.

After an illegal access, a device assert or an ECC error, CUDA answers every further call of the process with the same
error ("the process must be terminated and relaunched", CUDA Runtime API, ``cudaError``). torch raises it as
``AcceleratorError``, before 2.8 as ``RuntimeError``; Triton and the driver have prefixes of their own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

_OUT_OF_MEMORY_TYPES = ("OutOfMemoryError", "MemoryError")
# From the texts of torch's CPU allocator, of allocations outside of torch's CUDA allocator, of cuBLAS and of cuDNN.
# These two can't make their handle (NOT_INITIALIZED) where a device that works has no memory left.
_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_\w*ALLOC(?:ATION)?_FAILED"
    r"|\b(?:CUBLAS|CUDNN)_STATUS_NOT_INITIALIZED"
)
# The texts of cudaGetErrorString for the errors that end a context.
_BROKEN = re.compile(
    r"(?:(?:CUDA|HIP) (?:driver )?error|Triton Error \[\w+\]): (?:"
    r"an illegal memory access was encountered|an illegal instruction was encountered|device-side assert triggered"
    r"|unspecified launch failure|misaligned address|invalid program counter|hardware stack error"
    r"|operation not supported on global/shared address space|the launch timed out and was terminated"
    r"|uncorrectable ECC error encountered|uncorrectable NVLink error|Invalid access of peer GPU memory"
    r"|context is destroyed|unknown error)"
    # A library whose handle does not work any more: cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE.
    r"|\bCU[A-Z]+_(?:STATUS_)?(?:EXEC(?:UTION)?_FAILED|MAPPING_ERROR|INTERNAL_ERROR(?!\w*ALLOC))"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the host lacked memory."""
    return type(error).__name__ in _OUT_OF_MEMORY_TYPES or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None
    )


def broken_device(error: BaseException) -> str | None:
    """Return what broke the device if nothing works on it any more, else None.

    The error may be wrapped in others. If its text does not tell, the device is asked.
    """
    for part in _chain(error):
        if isinstance(part, RuntimeError) and _BROKEN.search(str(part)):
            return first_line(part)
    asked, answer = _ask_device()
    if answer is not None or asked:
        return answer
    reported = (part for part in _chain(error) if type(part).__name__ == "AcceleratorError")
    return next((first_line(part) for part in reported if not is_out_of_memory(part)), None)


def _ask_device() -> tuple[bool, str | None]:
    """Wait for the device's work. Return whether there is a device to ask, and the error if that failed."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False, None
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return True, None if is_out_of_memory(error) else first_line(error)
    return True, None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from or while handling."""
    seen: set[int] = set()
    rest = [error]
    while rest:
        part = rest.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            rest += [inner for inner in (part.__context__, part.__cause__) if inner is not None]


def first_line(error: BaseException) -> str:
    """The error's type and the first line of its text; torch's further lines are advice for debugging."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:500]
