"""What judgements took of a served judge, added up."""

from __future__ import annotations

from collections import Counter

from protocol.messages import Usage


class UsageTotals:
    """The sum over rows. ``answers`` counts them by the model and the system fingerprint that answered."""

    def __init__(self) -> None:
        self.requests = self.prompt_tokens = self.completion_tokens = 0
        self.answers: Counter[tuple[str | None, str | None]] = Counter()

    def add(self, usage: Usage) -> None:
        """Add what the answer of one row took."""
        self.requests += usage.requests
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        if usage.model is not None or usage.system_fingerprint is not None:
            self.answers[usage.model, usage.system_fingerprint] += 1


def sum_usage(first: Usage | None, second: Usage | None) -> Usage | None:
    """Return the sum; which model answered is that of the second, if it says."""
    if first is None or second is None:
        return first or second
    return Usage(
        requests=first.requests + second.requests,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        model=second.model or first.model,
        system_fingerprint=second.system_fingerprint or first.system_fingerprint,
    )
