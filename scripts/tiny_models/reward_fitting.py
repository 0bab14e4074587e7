"""Trains a tiny reward on examples: conversations, and the score that it is to reply with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.tiny_models.reward import REASON, answer_with
from workers.models.rewards.conversations import Conversation


@dataclass(frozen=True)
class Example:
    """A conversation, and the score and reason in its reply."""

    conversation: Conversation
    score: int
    reason: str = REASON

    @property
    def reply(self) -> str:
        """The whole reply, with the token that ends it."""
        return f"{answer_with(self.score, self.reason)}<|im_end|>"


def fit(model: Any, processor: Any, batches: Iterable[Sequence[Example]], steps: int) -> Iterator[float]:
    """Train the model on ``steps`` batches; yield the loss after each. The weights' bytes depend on torch's number of
    threads.
    """
    import torch
    from torch.nn.functional import cross_entropy

    digits = [processor.tokenizer.convert_tokens_to_ids(str(digit)) for digit in range(10)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.15)
    model.train()
    for batch in batches:
        inputs, answers = _tensors(batch, processor)
        logits = model(**inputs, logits_to_keep=answers.shape[1] + 1, use_cache=False).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), answers.flatten(), ignore_index=-100)
        loss = loss + 0.3 * cross_entropy(_first(logits, answers)[:, digits], _leading_digits(batch))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield float(loss.detach())
    model.eval()


def _first(logits: Any, answers: Any) -> Any:
    """Return the logits at the first token of each answer."""
    starts = (answers == -100).sum(dim=1)
    return logits[range(len(logits)), starts]


def _leading_digits(batch: Sequence[Example]) -> Any:
    """Return the first digit of each score; ``logits`` scoring reads its probability at the reply's first token."""
    import torch

    return torch.tensor([int(str(example.score)[0]) for example in batch])


def _tensors(batch: Sequence[Example], processor: Any) -> tuple[Any, Any]:
    """Return the model's inputs with answers, and the answers' tokens, right-aligned and padded with -100."""
    texts = [
        processor.apply_chat_template(list(example.conversation.turns), tokenize=False, add_generation_prompt=True)
        + example.reply
        for example in batch
    ]
    images = [image for example in batch for image in example.conversation.images]
    inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
    lengths = [len(processor.tokenizer.encode(example.reply)) for example in batch]
    answers = inputs["input_ids"][:, -max(lengths) :].clone()
    for row, length in zip(answers, lengths, strict=True):
        row[: len(row) - length] = -100
    return inputs, answers
