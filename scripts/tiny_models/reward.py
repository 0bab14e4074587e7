"""Builds a tiny Qwen3-VL, the reward model of the demo and the tests: the real class, about 100,000 weights.

With random weights it has a ``logits`` score, but its replies are unreadable. After some seconds of training
(``reward_training``) it replies in the form that the prompts ask for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scripts.tiny_models.tokenizer import CHAT_TEMPLATE, build_tokenizer
from scripts.tiny_models.weights import fill_weights

PATCH = 16
MERGE = 2
REASON = "画面亮度"
"""The reason in every reply of the trained model, which sees brightness only."""

_SEED = 20250923
_HIDDEN = 64
# Enough for six of ten answers to begin with a digit; more of it, and all pictures would have nearly the same score.
_LEAD, _CONTRAST = 4.0, 2.0
# In the tokenizer's training text, so that a character is about one token instead of three bytes.
_LINES = (
    "system\n你是一位专业的图像编辑质量评估专家。",
    "user\n原始图像：编辑后的图像：原始图像描述：编辑指令：请评估编辑后的图像质量，",
    "无论上文要求何种格式，现在只回答一个到之间的整数，不要输出其他内容。",
    "请只用一个 JSON 对象给出你的评分，不要输出其他内容：其中分数是到之间的数字。",
    f'assistant\n{{"score":7,"reason":"{REASON}"}}',
)


def build_reward(folder: Path, *, numbers_first: bool = True) -> None:
    """Write the model with random weights, its tokenizer and its processor. The files always have the same bytes.

    With ``numbers_first``, digits get most of the probability at the start of a reply, as with a judge that was asked
    for a number. Without, the model has no score by ``logits``.
    """
    tokenizer = reward_tokenizer()
    model = new_model(tokenizer)
    if numbers_first:
        _begin_with_numbers(model, tokenizer)
    save_reward(model, tokenizer, folder)


def reward_tokenizer(lines: Sequence[str] = ()) -> Any:
    """Return the tokenizer of both models. It has the words of the prompts and of the trained model's reply, and those
    of ``lines``.
    """
    return build_tokenizer([*_LINES, *lines], merges=2048) if lines else build_tokenizer(_LINES)


def answer_with(score: int, reason: str = REASON) -> str:
    """Return a trained model's reply with this score.

    It has no spaces, so each of its tokens determines the next one (``":`` and ``":"`` differ), which is easy to learn.
    """
    return f'{{"score":{score},"reason":"{reason}"}}'


def model_settings(tokenizer: Any) -> dict[str, Any]:
    """The settings of a ``Qwen3VLConfig`` for the ids of that tokenizer."""
    names = ("vision_start_token", "vision_end_token", "image_pad", "video_pad")
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name.removesuffix('_token')}|>") for name in names}
    return {
        "text_config": {
            "vocab_size": len(tokenizer),
            "hidden_size": _HIDDEN,
            "intermediate_size": 2 * _HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 32768,
            "rope_theta": 10000.0,
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2]},
            "pad_token_id": tokenizer.pad_token_id,
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": _HIDDEN,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        "tie_word_embeddings": False,
        "vision_start_token_id": ids["vision_start_token"],
        "vision_end_token_id": ids["vision_end_token"],
        "image_token_id": ids["image_pad"],
        "video_token_id": ids["video_pad"],
    }


def new_model(tokenizer: Any) -> Any:
    """Return a model with random weights in float32, with the token ids of this tokenizer."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config = Qwen3VLConfig(**model_settings(tokenizer))
    model = fill_weights(Qwen3VLForConditionalGeneration(config), _SEED)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def save_reward(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the model's folder in the older form, which transformers 4.57 and 5 both read."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _rewrite(folder / "config.json", _older_config)
    _rewrite(folder / "tokenizer_config.json", _older_tokenizer_config)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    preprocessor = {**image_settings(PATCH, 64**2, 512**2), "processor_class": "Qwen3VLProcessor"}
    text = json.dumps(preprocessor, indent=2, sort_keys=True) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def image_settings(patch: int, fewest: int, most: int) -> dict[str, Any]:
    """Return the settings of a Qwen VL processor for images; others than of these numbers of pixels are resized."""
    return {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "merge_size": MERGE,
        "patch_size": patch,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": most, "shortest_edge": fewest},
        "temporal_patch_size": 2,
    }


def _begin_with_numbers(model: Any, tokenizer: Any) -> None:
    """Lead from the tokens that come before a digit of the answer to the digits, along one direction."""
    import torch

    before = [tokenizer.convert_tokens_to_ids(token) for token in ("Ċ", "1")]  # the end of the prompt, a line feed
    digits = [tokenizer.convert_tokens_to_ids(str(digit)) for digit in range(10)]
    direction = torch.nn.functional.normalize(torch.ones(_HIDDEN), dim=0)
    with torch.no_grad():
        model.get_input_embeddings().weight[before] += _LEAD * direction
        model.lm_head.weight[digits] *= _CONTRAST
        model.lm_head.weight[digits] += direction


def _older_config(config: dict[str, Any]) -> None:
    rope = config["text_config"].pop("rope_parameters", None)
    if rope is not None:
        config["text_config"] |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    config["vision_config"].pop("rope_parameters", None)


def _older_tokenizer_config(config: dict[str, Any]) -> None:
    if "additional_special_tokens" not in config:
        config["additional_special_tokens"] = config.pop("extra_special_tokens")


def _rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
