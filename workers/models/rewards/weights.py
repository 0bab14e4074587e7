"""Loads a reward model: all of its weights, from safetensors only, to the device or the host."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.messages import Residency
from workers.interface import ModelError
from workers.models.device_memory import device_memory
from workers.models.quantization import checked_quantization, quantization_config, quantized_copies
from workers.models.rewards.generation import greedy
from workers.models.rewards.layers import make_faster
from workers.models.safetensors_files import cast_bytes, goes_straight, stored_as

if TYPE_CHECKING:
    from workers.models.moving.offload import Moves

DTYPES = ("bfloat16", "float16", "float32", "auto")

_log = logging.getLogger(__name__)


def prepare_imports() -> None:
    """Import what loading needs. Imports that fail are reported when the model loads."""
    with contextlib.suppress(ImportError):
        from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration  # noqa: F401


def host_copies(files: Sequence[str], params: Mapping[str, Any], *, straight: bool = False) -> int:
    """Return the bytes of the weights that host memory would hold as a copy: those that are cast or quantized.

    With ``straight``, on the way to a device, on which most of them are cast.
    """
    dtype = params.get("dtype", "bfloat16")
    quantized = None if straight else quantized_copies(files, params, dtype)
    return cast_bytes(files, dtype, straight=straight) if quantized is None else quantized


def load_model(
    folder: str, params: Mapping[str, Any], devices: Sequence[str], residency: Residency, *, second_copy: bool = False
) -> tuple[Any, Any]:
    """Return the model of ``folder``, ready to score, on its devices or in host memory, and the mover of its weights.

    Load parameters: ``dtype`` (``bfloat16``), ``use_flash_attention`` (false), ``threads_per_worker`` (1), ``offload``
    (``none``), ``quantization``.

    Raises:
        ModelError: of kind ``config`` (a parameter), ``oom``, or ``load`` (the files are damaged or incomplete, or this
            version of transformers does not know such a model).
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    device = devices[0]
    dtype = params.get("dtype", "bfloat16")
    if dtype not in DTYPES:
        raise ModelError("config", f"reward_model.params.dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    torch.set_num_threads(_threads(params))
    attention = _attention(bool(params.get("use_flash_attention", False)), device)
    quantization = checked_quantization(params, "reward_model")
    # Weights are mapped into host memory. A device map lets those that have to be converted go straight to the device.
    convert = quantization is not None or not stored_as(Path(folder), dtype)
    straight = convert and goes_straight(params, residency, devices)
    options: dict[str, Any] = {"device_map": {"": device}} if straight or quantization == "nf4" else {}
    if quantization is not None:
        options["quantization_config"] = quantization_config(quantization, "transformers", dtype)
    try:
        model, loading = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        mover = _mover(model, params, devices, residency, second_copy=second_copy)
        if residency == "device":
            mover.to_device(keep_private=False)
        elif quantization == "nf4":
            mover.to_host()  # bitsandbytes quantizes on the device only
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError("oom", f"reward model {folder} does not fit on {', '.join(devices)}: {error}") from error
    except Exception as error:
        # Damaged files raise whatever the library that reads them raises.
        raise ModelError("load", f"reward model {folder} can't be loaded: {type(error).__name__}: {error}") from error
    if missing := sorted(loading["missing_keys"]):
        # transformers would use random weights in their place.
        raise ModelError("load", f"reward model {folder} lacks weights, such as {missing[0]} ({len(missing)} in all)")
    model.generation_config = greedy(model.generation_config, tokenizer)
    return make_faster(model.eval()), mover


def _mover(
    model: Any, params: Mapping[str, Any], devices: Sequence[str], residency: Residency, *, second_copy: bool
) -> Moves:
    from workers.models.moving.offload import LayerOffload, mover_of
    from workers.models.moving.spread import spread_over

    if len(devices) > 1:
        memory = device_memory(devices, free=residency == "device")
        return spread_over({"": model}, devices, memory, "reward", cut=[""], second_copy=second_copy)
    if params.get("offload", "none") != "none":
        return LayerOffload(model, devices[0], second_copy=second_copy)
    quantized = params.get("quantization") is not None
    return mover_of([model], devices[0], offload="none", quantized=quantized, second_copy=second_copy)


def _threads(params: Mapping[str, Any]) -> int:
    threads = params.get("threads_per_worker", 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ModelError("config", f"reward_model.params.threads_per_worker must be 1 or more, not {threads!r}")
    return threads


def _attention(wanted: bool, device: str) -> str:
    """FlashAttention 2 if it is wanted and works here, else the attention of torch."""
    from transformers.utils import is_flash_attn_2_available

    if not wanted:
        return "sdpa"
    if not device.startswith("cuda"):
        reason = f"the device is {device}, and it needs CUDA"
    elif not is_flash_attn_2_available():
        reason = "the package flash-attn can't be imported"
    else:
        return "flash_attention_2"
    _log.warning("use_flash_attention is on, but %s: torch's own attention (sdpa) is used", reason)
    return "sdpa"
