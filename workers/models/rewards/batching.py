"""Runs rows through a model in batches: smaller ones if memory is short, single rows after other errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct, structs

from workers.interface import ModelError
from workers.models.device_errors import broken_device, is_out_of_memory
from workers.models.device_memory import free_memory
from workers.models.rewards.parameters import RewardSettings

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")

_log = logging.getLogger(__name__)


class RowFailure(Struct, frozen=True):
    """Why one row has no result: kind ``oom``, the kind of a ``ModelError``, or ``error``."""

    kind: str
    message: str


class Batched(Struct, Generic[ResultT], frozen=True):
    """A result or a failure for every row, in their order, and the sizes of the batches that worked.

    ``fitting`` is the batch size to begin with next time: smaller than the one asked for if memory was short.
    """

    results: Sequence[ResultT | RowFailure]
    sizes: Sequence[int]
    fitting: int


class BatchSizes:
    """The batch sizes that have fitted into memory, by the settings of a run.

    Rows need the same memory only if they are asked in the same way, of images of the same size.
    """

    def __init__(self) -> None:
        self._fitting: dict[RewardSettings, int] = {}

    def first(self, settings: RewardSettings) -> int:
        """The size to begin with: the run's own, or the smaller one to which an earlier batch was halved."""
        return min(settings.batch_size, self._fitting.get(_any_size(settings), settings.batch_size))

    def run(
        self,
        rows: Sequence[RowT],
        settings: RewardSettings,
        run: Callable[[Sequence[RowT]], Sequence[ResultT]],
        length: Callable[[RowT], int],
    ) -> Batched[ResultT]:
        """``run_in_batches`` of the size to begin with."""
        size = self.first(settings)
        batched = run_in_batches(rows, size, run, length)
        if batched.fitting < size:
            self._fitting[_any_size(settings)] = batched.fitting
        return batched

    def forget(self) -> None:
        """Begin with the runs' own sizes again: the model has moved, and there may be more memory now."""
        self._fitting.clear()


def _any_size(settings: RewardSettings) -> RewardSettings:
    return structs.replace(settings, batch_size=1)


def run_in_batches(
    rows: Sequence[RowT],
    batch_size: int,
    run: Callable[[Sequence[RowT]], Sequence[ResultT]],
    length: Callable[[RowT], int] | None = None,
) -> Batched[ResultT]:
    """Call ``run`` with at most ``batch_size`` rows at a time; it returns a result for each.

    With ``length``, rows of similar length run together, since all rows of a batch are padded to the longest. The
    longest rows run first, so that a lack of memory shows at once.

    Out of memory: batches are halved from there on, down to one row, which is tried twice. If that row does not fit
    even alone, batches are as large again as before it. Any other exception: the rows of that batch run one at a time,
    so that only those that fail are lost.

    Raises:
        Exception: what broke the device; nothing on it works any more in this process.
    """
    order: Sequence[int] = range(len(rows))
    if length is not None:
        lengths = [length(row) for row in rows]
        order = sorted(order, key=lambda index: lengths[index], reverse=True)
    batched = _run_in_order([rows[index] for index in order], batch_size, run)
    results = dict(zip(order, batched.results, strict=True))
    return Batched([results[index] for index in range(len(rows))], batched.sizes, batched.fitting)


def _run_in_order(
    rows: Sequence[RowT], batch_size: int, run: Callable[[Sequence[RowT]], Sequence[ResultT]]
) -> Batched[ResultT]:
    results: list[ResultT | RowFailure] = []
    sizes: list[int] = []
    size = before = batch_size
    halved_until = singly_until = 0
    retried = False
    while len(results) < len(rows):
        start = len(results)
        batch = rows[start : start + (1 if start < singly_until else size)]
        outcome = _attempt(batch, run)
        if not isinstance(outcome, RowFailure):
            results += outcome
            sizes.append(len(batch))
            retried = False
            if len(results) >= halved_until:
                before = size
        elif outcome.kind == "oom" and len(batch) > 1:
            if start >= halved_until:
                before, halved_until = size, start + len(batch)
            size = len(batch) // 2
            _log.warning("out of memory with %d rows: continuing with batches of %d", len(batch), size)
        elif outcome.kind == "oom" and not retried:
            retried = True
            _log.warning("out of memory with one row: trying again")
        elif len(batch) > 1:
            singly_until = start + len(batch)
            _log.warning("a batch of %d rows failed (%s): its rows run one at a time", len(batch), outcome.message)
        else:
            results.append(outcome)
            retried = False
            if outcome.kind == "oom":
                size = before  # the row was too large, not the batch
    return Batched(results, sizes, size)


def _attempt(
    batch: Sequence[RowT], run: Callable[[Sequence[RowT]], Sequence[ResultT]]
) -> Sequence[ResultT] | RowFailure:
    """One attempt. A failure is text only: a traceback would keep the tensors of the failed pass alive."""
    try:
        results = run(batch)
    except Exception as error:  # one bad row must not fail the others
        if broken_device(error) is not None:
            raise
        failure = _failure(error)
    else:
        if len(results) != len(batch):
            return RowFailure("error", f"the number of results is {len(results)}, expected {len(batch)}")
        return results
    if failure.kind == "oom":
        free_memory()
    return failure


def _failure(error: Exception) -> RowFailure:
    if isinstance(error, ModelError):
        return RowFailure(error.kind, str(error))
    return RowFailure("oom" if is_out_of_memory(error) else "error", f"{type(error).__name__}: {error}")
