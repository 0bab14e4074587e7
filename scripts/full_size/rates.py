"""How many images per second the reward scores, by batch size, with ``logits`` and with ``generate``.

``python -m scripts.full_size.rates JOB`` uses the worker's own class, without a scheduler. With random weights, replies
always reach their limit. Only the first reply counts: it is unreadable, so the model would be asked again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from protocol.messages import ModelSpec
from scripts.bench.logits import score_request
from scripts.full_size.jobs import Report, work_on_job
from scripts.full_size.torch_device import forget_peak, synchronize, torch_peak
from workers.interface import Reward, ScoreRequest
from workers.models.registry import make_model

SCORINGS = ("logits", "generate")


class _ReplyIsLongEnoughError(BaseException):
    """Stops the reward. It is no error, and must pass through the reward's error handling."""


def measure_rates(job: Mapping[str, Any], report: Report) -> None:
    """Load the reward, then report a rate, or an error, for each way to score and each batch size."""
    model = make_model(
        ModelSpec(role="reward", type="qwen3_vl", name=job["folder"], params={"dtype": job["dtype"]}), job["device"]
    )
    assert isinstance(model, Reward)  # noqa: S101 - the catalog has it so
    model.prepare()
    model.load("device")
    requests = [score_request(number, job["side"]) for number in range(max(job["batches"]))]
    for scoring in job["scorings"]:
        for size in job["batches"]:
            parameters = {"scoring": scoring, "batch_size": size, "max_new_tokens": job["tokens"]}
            what = f"reward, `{scoring}`, batches of {size}"
            if what in job["measured"]:
                continue
            try:
                rate = _rate(model, requests[:size], parameters, job)
            except Exception as error:  # noqa: BLE001 - the next one may work
                report({"what": what, "error": f"{type(error).__name__}: {error}"})
                continue
            report({"what": what, "figure": f"{rate['images_per_second']:.3g} images per second", **rate})


def _rate(
    model: Reward, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], job: Mapping[str, Any]
) -> dict[str, Any]:
    generating = parameters["scoring"] == "generate"
    tokens = int(parameters["max_new_tokens"]) if generating else 1
    _seconds(model, requests, {**parameters, "max_new_tokens": min(2, tokens)}, min(2, tokens))  # warm up
    forget_peak(job["device"])
    seconds: list[float] = []
    while len(seconds) < job["repeat"] and sum(seconds) < job["seconds_each"]:
        seconds.append(_seconds(model, requests, parameters, tokens))
    prepared = model.prepare_batch(requests, parameters)
    return {
        "images_per_second": len(requests) / min(seconds),
        "seconds": seconds,
        "prompt_tokens": max(getattr(request, "length", 0) for request in prepared),
        "reply_tokens": tokens if generating else 0,
        "torch_memory_peak_gb": torch_peak(job["device"]),
    }


def _seconds(model: Reward, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], steps: int) -> float:
    """The seconds from images to scores, or to the last token of the first replies, including preparation.

    Raises:
        ValueError: the replies were shorter.
    """
    ticks = 0

    def progress(_step: int, _steps: int) -> None:
        nonlocal ticks
        ticks += 1
        if parameters["scoring"] == "generate" and ticks == steps:
            raise _ReplyIsLongEnoughError

    synchronize(model.device)
    started = time.perf_counter()
    try:
        scores = model.score(requests, parameters, progress)
    except _ReplyIsLongEnoughError:
        synchronize(model.device)
        return time.perf_counter() - started
    synchronize(model.device)
    seconds = time.perf_counter() - started
    # With random weights, numbers are as unlikely as all other tokens.
    wrong = [judgement.message for judgement in scores.judgements if judgement.kind not in (None, "off_scale")]
    if parameters["scoring"] == "generate" or wrong:
        raise ValueError(wrong[0] if wrong else f"the replies ended after {ticks} of {steps} tokens")
    if list(scores.batch_sizes) != [len(requests)]:
        raise ValueError(f"memory was short: the batch was scored as {list(scores.batch_sizes)}")
    return seconds


if __name__ == "__main__":
    work_on_job(measure_rates)
