"""Greedy replies from a vision-language model, with progress after every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from workers.interface import Progress


class ModelReply(Struct, frozen=True):
    """What the model answered.

    ``cut_off``: the token limit ended it. ``in_thought``: it begins within a thought.
    """

    text: str
    cut_off: bool
    in_thought: bool = False


class Steps:
    """Counts steps of device work and reports each; there may be more than expected."""

    def __init__(self, progress: Progress, expected: int) -> None:
        self._progress = progress
        self._expected = expected
        self._done = 0

    def more(self, expected: int) -> None:
        """Expect this number of steps after those that were taken."""
        self._expected = self._done + expected

    def took(self, count: int) -> None:
        """Report this number of steps."""
        self._done += count
        self._expected = max(self._expected, self._done)
        self._progress(self._done, self._expected)


def greedy(own: Any, tokenizer: Any) -> Any:
    """A model's own generation config without sampling: end, padding and repetition penalty of a reply.

    transformers warns of the temperature, top_p and top_k of checkpoints where nothing is sampled.
    """
    from transformers import GenerationConfig

    ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    pad = own.pad_token_id if own.pad_token_id is not None else tokenizer.pad_token_id
    penalty = getattr(own, "repetition_penalty", None)
    return GenerationConfig(
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=pad,
        bos_token_id=own.bos_token_id,
        repetition_penalty=1.0 if penalty is None else penalty,
    )


def generate_replies(
    model: Any, inputs: Mapping[str, Any], tokenizer: Any, max_new_tokens: int, steps: Steps, in_thought: bool
) -> Sequence[ModelReply]:
    """One reply for each row of left-padded prompts; ``in_thought`` if these end within a thought."""
    from transformers import StoppingCriteriaList

    output = model.generate(
        **inputs, max_new_tokens=max_new_tokens, stopping_criteria=StoppingCriteriaList([_after_each_token(steps)])
    )
    replies = output[:, inputs["input_ids"].shape[1] :].tolist()
    ends = model.generation_config.eos_token_id
    end_tokens = set(ends) if isinstance(ends, list | tuple) else {ends}
    texts = tokenizer.batch_decode(replies, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [
        ModelReply(text, cut_off=end_tokens.isdisjoint(tokens), in_thought=in_thought)
        for text, tokens in zip(texts, replies, strict=True)
    ]


def _after_each_token(steps: Steps) -> Any:
    """A stopping criterion that never stops: transformers calls it after every token."""
    import torch

    def count(input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG001 - transformers' signature
        steps.took(1)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return count
