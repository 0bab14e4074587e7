"""What judgements took of a served judge, added up."""

from __future__ import annotations

from protocol.messages import Usage


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
