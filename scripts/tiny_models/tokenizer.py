"""Builds a small Qwen2 tokenizer: the real class and special tokens, with a byte-level BPE trained on the lines below.

Its alphabet is bytes, so it encodes and decodes any text, also Chinese. Each digit is a token, as in the Qwen
tokenizers. Each word of the editing pipeline's system prompt is one token, so the prompt has 64 tokens as with the real
tokenizer: the pipeline removes exactly that number.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# The turns of Qwen VL models: text is unchanged, each image is one placeholder that the processor expands.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_SYSTEM_PROMPT = (
    "system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then"
    " explain how the user's text instruction should alter or modify the image. Generate a new image that meets the"
    " user's requirements while maintaining consistency with the original input where appropriate."
)
_LINES = (_SYSTEM_PROMPT, "user\nassistant\nPicture: Score:")
_MERGES = 1024


def build_tokenizer(lines: Sequence[str] = (), *, merges: int = _MERGES) -> Any:
    """Return a ``Qwen2Tokenizer``. The same arguments always give the same tokenizer.

    Args:
        lines: more text to train on; each of its words becomes one token, as far as ``merges`` suffice.
        merges: the most merges, of all text together.
    """
    vocabulary, learned = _train([*_LINES, *lines], merges)
    tokenizer = _tokenizer(
        vocabulary,
        learned,
        eos_token="<|im_end|>",  # noqa: S106 - a token of text
        pad_token="<|endoftext|>",  # noqa: S106
        model_max_length=131072,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save_tokenizer(folder: Path, lines: Sequence[str] = (), *, merges: int = _MERGES) -> Any:
    """Build the tokenizer, write its files into ``folder``, and return it."""
    tokenizer = build_tokenizer(lines, merges=merges)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]], **settings: Any) -> Any:
    import transformers

    if int(transformers.__version__.partition(".")[0]) >= 5:
        special = list(SPECIAL_TOKENS)
        return transformers.Qwen2Tokenizer(vocab=vocabulary, merges=merges, extra_special_tokens=special, **settings)
    # Before version 5 the class reads files only.
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        files[0].write_text(json.dumps(vocabulary), encoding="utf-8")
        files[1].write_text("".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8")
        special = list(SPECIAL_TOKENS)
        return transformers.Qwen2TokenizerFast(*map(str, files), additional_special_tokens=special, **settings)


def _train(lines: Sequence[str], most: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and merges of a BPE with one token for each word in ``lines``, as Qwen splits text."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    size = len(alphabet) + most
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(lines, trainer)
    model = json.loads(bpe.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]
