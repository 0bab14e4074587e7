"""The score of ``scoring: logits``: the expected value over the whole numbers of the scale, from one forward pass.

The first token of the answer decides the number, except for numbers of two tokens: ``10`` begins with the same ``1``
as ``1``. So the token ``1`` is added to every prompt, and the logits of the last two positions are kept. With ``p`` the
softmax at the first of them (what the answer begins with) and ``q`` at the second (what follows a ``1``):

* a number of one token other than ``1``: ``P(n) = p(n)``
* a number of two tokens, ``1`` and the digit ``d``: ``P(1d) = p(1) * q(d)``
* ``1`` itself has what the two-token numbers of the scale leave: ``P(1) = p(1) * (1 - sum of their q(d))``

The score is ``sum(n * P(n)) / sum(P(n))`` over the numbers of the scale; other answers do not count. It is computed in
logarithms, so it is defined for any small probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from workers.interface import ModelError


class ScaleTokens(Struct, frozen=True):
    """The tokens of a scale's numbers: ``single`` maps a number to its token, ``split`` to the digit behind a ``1``.

    ``one`` is the token of ``1``.
    """

    single: Mapping[int, int]
    split: Mapping[int, int]
    one: int

    @property
    def numbers(self) -> Sequence[int]:
        """The whole numbers of the scale, in order."""
        return sorted([*self.single, *self.split])


class NumberScore(Struct, frozen=True):
    """``score`` is the expected value; ``probabilities`` sum to 1 over the numbers of the scale, and ``mass`` (0 to 1)
    is their share of all possible answers. ``likeliest`` is the token that the answer is most likely to begin with."""

    score: float
    probabilities: Mapping[int, float]
    mass: float
    likeliest: int


def scale_tokens(tokenizer: Any, low: float, high: float) -> ScaleTokens:
    """Return the tokens of all whole numbers from ``low`` to ``high``.

    Raises:
        ModelError: of kind ``config``: an end is no whole number, or the tokenizer writes a number in a way that one
            pass can't score (more than one token, unless it is ``1`` and a digit).
    """
    if low != int(low) or high != int(high):
        raise ModelError("config", f"scoring: logits needs whole numbers in score_range, not [{low:g}, {high:g}]")
    one = _tokens(tokenizer, 1)
    if len(one) != 1:
        raise ModelError("config", "scoring: logits needs a tokenizer that has 1 as a token; use scoring: generate")
    single, split = {}, {}
    for number in range(int(low), int(high) + 1):
        tokens = _tokens(tokenizer, number)
        if len(tokens) == 1:
            single[number] = tokens[0]
        elif len(tokens) == 2 and tokens[0] == one[0]:
            split[number] = tokens[1]
        else:
            raise ModelError(
                "config",
                f"scoring: logits reads one pass, in which {number} can't be told: this model's tokenizer makes it"
                f" {len(tokens)} tokens; use a score_range within [0, 19], or scoring: generate",
            )
    return ScaleTokens(single, split, one[0])


def number_logits(model: Any, inputs: Mapping[str, Any], scale: ScaleTokens) -> Any:
    """One forward pass over left-padded prompts: logits of shape (rows, 1 or 2, vocabulary).

    The first position is the first token of the answer, the second, if the scale needs it, what follows a ``1``.
    """
    import torch

    if not scale.split:
        return model(**inputs, logits_to_keep=1, use_cache=False).logits
    ids = inputs["input_ids"]
    longer = dict(inputs)
    # From transformers 5 on there is a third tensor along the tokens, with 0 for text.
    for name, value in (("input_ids", scale.one), ("attention_mask", 1), ("mm_token_type_ids", 0)):
        if name in longer:
            longer[name] = torch.cat([longer[name], longer[name].new_full((len(ids), 1), value)], dim=1)
    return model(**longer, logits_to_keep=2, use_cache=False).logits


def expected_scores(logits: Any, scale: ScaleTokens) -> list[NumberScore]:
    """The score of each row, from the logits that ``number_logits`` returns."""
    import torch

    log_p = torch.log_softmax(logits.detach().to("cpu").double(), dim=-1)  # float32 would lose the last digits of a sum
    first = log_p[:, 0]
    columns = {number: first[:, token] for number, token in scale.single.items()}
    if scale.split:
        second = log_p[:, 1]
        digits = list(scale.split.values())
        columns |= {number: first[:, scale.one] + second[:, digit] for number, digit in scale.split.items()}
        if 1 in columns:
            rest = second.clone()
            rest[:, digits] = -torch.inf
            columns[1] = columns[1] + torch.logsumexp(rest, dim=-1)
    numbers = scale.numbers
    together = torch.stack([columns[number] for number in numbers], dim=-1)
    shares = torch.softmax(together, dim=-1)
    scores = shares @ torch.tensor(numbers, dtype=shares.dtype)
    masses = torch.logsumexp(together, dim=-1).exp()
    rows = zip(scores.tolist(), shares.tolist(), masses.tolist(), first.argmax(dim=-1).tolist(), strict=True)
    return [
        NumberScore(score, dict(zip(numbers, row, strict=True)), min(mass, 1.0), likeliest)
        for score, row, mass, likeliest in rows
    ]


def _tokens(tokenizer: Any, number: int) -> list[int]:
    tokens: list[int] = tokenizer.encode(str(number), add_special_tokens=False)
    return tokens
