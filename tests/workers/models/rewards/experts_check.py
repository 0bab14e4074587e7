"""A tiny Qwen3-VL with a mixture of experts, as the reward loads it and as transformers does.

``python -m tests.workers.models.rewards.experts_check FOLDER`` writes the model into the folder and prints the
comparison as JSON. The environment of the reward, which has another version of transformers, runs it so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from protocol.messages import ModelSpec, Prompt
from scripts.tiny_models.reward import model_settings, reward_tokenizer, save_reward
from scripts.tiny_models.weights import fill_weights
from workers.interface import ScoreRequest
from workers.models.rewards.conversations import first_question
from workers.models.rewards.parameters import read_settings
from workers.models.rewards.qwen3_vl import Qwen3VLReward

EXPERTS = 8
_MIXTURE = {
    "num_experts": EXPERTS,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": True,
}


def build(folder: Path) -> None:
    """Write the model, of random weights, with its tokenizer and processor."""
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    tokenizer = reward_tokenizer()
    settings = model_settings(tokenizer)
    config = Qwen3VLMoeConfig(**{**settings, "text_config": {**settings["text_config"], **_MIXTURE}})
    model = fill_weights(Qwen3VLMoeForConditionalGeneration(config), 7)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    save_reward(model, tokenizer, folder)


def compare(folder: Path) -> dict[str, Any]:
    """What the model answers about two images, loaded both ways, and which experts it computes."""
    import torch
    import transformers

    reward = Qwen3VLReward(ModelSpec(role="reward", name=str(folder), params={"dtype": "float32"}), "cpu")
    reward.load("device")
    plain = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    settings = read_settings({"scoring": "logits"})
    rows = [reward._row(first_question(_request(level), settings), settings) for level in (20, 230)]
    inputs = reward._inputs(rows, settings)
    with torch.inference_mode():
        ours, theirs = (model(**inputs, use_cache=False).logits for model in (reward._model, plain))
        our_layer, their_layer = (_layer_output(model) for model in (reward._model, plain))
    return {
        "transformers": transformers.__version__,
        "difference_of_a_layer": float((our_layer - their_layer).abs().max()),
        "difference_of_answers": float((ours - theirs).abs().max()),
        "same_weights": all(
            torch.equal(weight, plain.state_dict()[name]) for name, weight in reward._model.state_dict().items()
        ),
        "unchosen_experts_are_left_out": _leaves_out(reward._model),
        "all_are_computed_by_transformers": not _leaves_out(plain),
    }


def _request(level: int) -> ScoreRequest:
    image = Image.new("RGB", (96, 64 + level), (level, 90, 255 - level))
    return ScoreRequest(
        image=image, source=None, prompt=Prompt(system="", user="评分" * level), key="k", image_sha256=""
    )


def _layer_output(model: Any) -> Any:
    result = model.model.language_model.layers[0].mlp(_tokens(model, 40))
    return result[0] if isinstance(result, tuple) else result


def _tokens(model: Any, count: int) -> Any:
    import torch

    width = model.config.text_config.hidden_size
    return torch.randn(2, count, width, generator=torch.Generator().manual_seed(3))


def _leaves_out(model: Any) -> bool:
    """Whether experts that no token has chosen may hold anything, even NaN, which a factor of 0 does not remove."""
    import torch

    block = model.model.language_model.layers[0].mlp
    chosen: set[int] = set()

    def note(_module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        found = next(value for value in (*arguments, *keywords.values()) if value.dtype == torch.int64)
        chosen.update(found.flatten().tolist())

    tokens = _tokens(model, 1)
    handle = block.experts.register_forward_pre_hook(note, with_kwargs=True)
    with torch.no_grad():
        block(tokens)
        handle.remove()
        others = sorted(set(range(EXPERTS)) - chosen)
        assert others, "every expert was chosen: nothing can be told"
        block.experts.gate_up_proj[others] = float("nan")
        result = block(tokens)
    return bool(torch.isfinite(result[0] if isinstance(result, tuple) else result).all())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    print(json.dumps(compare(Path(sys.argv[1]))))
