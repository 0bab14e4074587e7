"""Prints what judges with quantized weights hold and answer, as JSON. It runs where torchao is on the path.

``python -m tests.workers.models.rewards.quantized_scores DENSE MIXTURE``; the mixture of experts is written there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.workers.models.rewards import experts_check
from tests.workers.models.rewards.reward_requests import LOGITS, asked, grey, loaded, score
from workers.models.fitting import needed_bytes, parts_of
from workers.models.rewards.qwen3_vl import Qwen3VLReward

_REQUESTS = [asked(grey(level)) for level in (20, 230)]


def main(dense: Path, mixture: Path) -> None:
    experts_check.build(mixture)
    figures = {
        **{f"dense {kind}": _figures(dense, kind) for kind in ("int8", "float8")},
        "mixture int8": _figures(mixture, "int8"),
    }
    print(json.dumps(figures))


def _figures(folder: Path, kind: str) -> dict[str, Any]:
    whole = loaded(folder, dtype="bfloat16")
    quantized = loaded(folder, dtype="bfloat16", quantization=kind)
    plain, scores = _scores(whole), _scores(quantized)
    quantized.place("host")
    quantized.place("device")
    parts = parts_of(map(Path, quantized.weight_files()), "bfloat16").values()
    model = quantized._model
    layer = model.model.language_model.layers[0]
    experts = getattr(layer.mlp, "experts", None)
    return {
        "size": quantized.size_bytes() / whole.size_bytes(),
        "computed": needed_bytes(parts, quantization=kind) / quantized.size_bytes(),
        "host": quantized.host_bytes() / quantized.size_bytes(),
        "scores": scores,
        "difference": max((abs(one - other) for one, other in zip(plain, scores, strict=True)), default=None),
        "same again": _scores(quantized) == scores,
        "layers": sorted({type(layer.self_attn.q_proj.weight).__name__, type(_mlp_of(model).weight).__name__}),
        "experts": None if experts is None else type(experts.gate_up_proj.data).__name__,
        "head": type(model.lm_head.weight.data).__name__,
        "version": "torchao" in quantized.versions(),
    }


def _mlp_of(model: Any) -> Any:
    return model.model.visual.blocks[0].mlp.linear_fc1


def _scores(model: Qwen3VLReward) -> list[float]:
    found = [judgement.score for judgement in score(model, _REQUESTS, LOGITS).judgements]
    return [value for value in found if value is not None]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
