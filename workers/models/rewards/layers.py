"""Layers of judges that compute the same results in another order: faster, and in less memory.

Both changes are to rounding only, as with another batch size, so neither is part of a fingerprint. The parameters stay
what they are: a layer gets another class, not other weights.
"""

from __future__ import annotations

import inspect
from typing import Any

_EXPERTS_ARGUMENTS = ("self", "hidden_states", "routing_weights", "router_indices")
"""The arguments of experts that compute all experts for each token: those of transformers 4.57."""


def make_faster(model: Any) -> Any:
    """Replace the layers of ``model`` that have a faster form; return the model."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Conv3d) and _cuts_into_patches(module):
            _override(module, "forward", _embed_patches)
        elif _computes_all_experts(module):
            _override(module, "forward", _compute_chosen_experts)
    return model


def _override(module: Any, name: str, function: Any) -> None:
    """Give one module a subclass of its class: a method of the object would be a circle that outlives the model."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {name: function, "__module__": __name__})


# -- the patch embedding


def _cuts_into_patches(convolution: Any) -> bool:
    """Whether no two positions of the kernel overlap: then it is one matrix product over patches."""
    plain = convolution.groups == 1 and convolution.dilation == (1, 1, 1) and convolution.padding == (0, 0, 0)
    return bool(plain and convolution.kernel_size == convolution.stride)


def _embed_patches(convolution: Any, patches: Any) -> Any:
    """The embeddings of ``patches``, each of the kernel's size: shape (patches, width, 1, 1, 1).

    torch has builds whose 3-D convolution in bfloat16 takes more than ten times as long.
    """
    import torch

    if tuple(patches.shape[2:]) != convolution.kernel_size:
        return torch.nn.Conv3d.forward(convolution, patches)
    embedded = torch.nn.functional.linear(patches.flatten(1), convolution.weight.flatten(1), convolution.bias)
    return embedded[:, :, None, None, None]


# -- the mixture of experts


def _computes_all_experts(module: Any) -> bool:
    """Whether these are the experts of a Qwen3-VL in transformers 4.57.

    In evaluation they compute all 128 experts for every token, and multiply all but 8 by zero: 16 times the work, and
    tens of GB for a batch. transformers 5 computes the chosen ones.
    """
    if type(module).__name__ != "Qwen3VLMoeTextExperts":
        return False
    return tuple(inspect.signature(type(module).forward).parameters) == _EXPERTS_ARGUMENTS


def _compute_chosen_experts(experts: Any, hidden_states: Any, routing_weights: Any, router_indices: Any) -> Any:
    """The weighted sum of the chosen experts' outputs.

    Args:
        experts: the layer.
        hidden_states: of shape (batch, tokens, width).
        routing_weights: of shape (all tokens, experts), 0 where an expert was not chosen.
        router_indices: of shape (all tokens, chosen).
    """
    import torch

    tokens = hidden_states.reshape(-1, experts.hidden_size)
    chosen = router_indices.shape[-1]
    # One row for each token and chosen expert, sorted by expert.
    by_expert, order = router_indices.flatten().sort(stable=True)
    numbers = torch.arange(experts.num_experts, device=by_expert.device)
    ends = torch.searchsorted(by_expert, numbers, right=True, out_int32=True)
    gate, up = _by_expert(tokens[order // chosen], experts.gate_up_proj, ends).chunk(2, dim=-1)
    outputs = _by_expert(up * experts.act_fn(gate), experts.down_proj, ends)
    weights = routing_weights.gather(1, router_indices).flatten()[order]
    in_order = torch.empty_like(outputs)
    in_order[order] = outputs * weights[:, None]
    return in_order.view(-1, chosen, experts.hidden_size).sum(dim=1).view(hidden_states.shape)


def _by_expert(rows: Any, weights: Any, ends: Any) -> Any:
    """Each row times the matrix of its expert; the rows of expert n end before ``ends[n]``."""
    import torch

    if _has_grouped_kernel(rows):
        return torch.nn.functional.grouped_mm(rows, weights, offs=ends)
    parts = rows.tensor_split(ends[:-1].tolist())
    return torch.cat([part @ matrix for part, matrix in zip(parts, weights, strict=True) if len(part)])


def _has_grouped_kernel(rows: Any) -> bool:
    """Whether torch has one kernel for the matrices of all experts here: from 2.10 on, in bfloat16, on recent GPUs."""
    import torch

    if not hasattr(torch.nn.functional, "grouped_mm") or rows.device.type != "cuda":
        return False
    return bool(rows.dtype == torch.bfloat16 and torch.cuda.get_device_capability(rows.device) >= (8, 0))
