"""The score of ``scoring: logits`` from the ``top_logprobs`` of a server: the expected value over the scale's numbers.

It is that of ``logits`` with what a server tells: the likeliest tokens (20, as most servers give no more) at the first
two places of the answer. How likely a number of two tokens is, ``1`` and a digit, shows at the second place, but only
where the answer does begin with ``1``. Elsewhere ``1`` and ``1x`` can't be told apart, so such an answer has a score
only where that makes next to no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from workers.models.rewards.batching import RowFailure
from workers.models.rewards.logits import NumberScore
from workers.models.served.replies import Token

TOP_LOGPROBS = 20
_TOLERANCE = 0.01
"""The share of the scale by which a score may depend on what can't be told."""


def expected_score(tokens: Sequence[Token], low: int, high: int) -> tuple[NumberScore, str] | RowFailure:
    """The expected value over the whole numbers from ``low`` to ``high``, and the likeliest first token."""
    if not tokens or not tokens[0].top_logprobs:
        return RowFailure("bad_reply", "the reply has no top_logprobs: the server may not give any")
    first = _shares(tokens[0])
    masses = {number: first.get(str(number), 0.0) for number in range(low, high + 1)}
    two_digits = [number for number in masses if number >= 10]
    one = first.get("1", 0.0)
    if two_digits and one and not any(masses[number] for number in two_digits):
        split = _split(tokens, one, two_digits)
        if split is None:
            if _difference(masses, one, high) > _TOLERANCE * (high - low):
                message = (
                    f"the server does not tell how likely {low} to {high} are: numbers of two digits are two tokens; "
                    "use a score_range within [0, 9], or scoring: generate"
                )
                return RowFailure("off_scale", message)
        else:
            masses |= split
            if 1 in masses:
                masses[1] = max(0.0, one - sum(split.values()))  # what a server tells may sum to more than 1
    mass = sum(masses.values())
    likeliest = max(first, key=lambda token: first[token])
    if mass <= 0:
        shares = dict.fromkeys(masses, 0.0)
        return NumberScore(0.0, shares, 0.0, 0), likeliest
    shares = {number: share / mass for number, share in masses.items()}
    return NumberScore(sum(number * share for number, share in shares.items()), shares, min(mass, 1.0), 0), likeliest


def _shares(token: Token) -> dict[str, float]:
    """The probability of each text at this place, without the spaces around it."""
    shares: dict[str, float] = {}
    for alternative in token.top_logprobs:
        text = alternative.token.strip()
        shares[text] = shares.get(text, 0.0) + math.exp(min(0.0, alternative.logprob))
    return shares


def _split(tokens: Sequence[Token], one: float, two_digits: Sequence[int]) -> dict[int, float] | None:
    """What of ``1`` belongs to each number of two digits, if the answer shows what follows it."""
    if tokens[0].token.strip() != "1" or len(tokens) < 2 or not tokens[1].top_logprobs:
        return None
    second = _shares(tokens[1])
    return {number: one * second.get(str(number)[1:], 0.0) for number in two_digits}


def _difference(masses: Mapping[int, float], one: float, high: int) -> float:
    """By how much the score depends on whether ``1`` is 1 or the highest number."""
    rest = sum(mass for number, mass in masses.items() if number != 1)
    weighted = sum(number * mass for number, mass in masses.items() if number != 1)
    return ((weighted + high * one) - (weighted + one)) / (rest + one)
