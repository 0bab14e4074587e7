"""Batches get smaller where memory is short, and one bad row does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from workers.interface import ModelError
from workers.rewards.batches import RowFailure, run_in_batches


def doubling(fails: Callable[[Sequence[int]], Exception | None] = lambda _: None) -> Callable[..., Sequence[int]]:
    def run(batch: Sequence[int]) -> Sequence[int]:
        if error := fails(batch):
            raise error
        return [2 * row for row in batch]

    return run


def test_results_come_in_the_order_of_the_rows() -> None:
    batched = run_in_batches(range(7), 3, doubling())
    assert list(batched.results) == [0, 2, 4, 6, 8, 10, 12]
    assert list(batched.sizes) == [3, 3, 1]


def test_nothing_is_run_for_no_rows() -> None:
    batched = run_in_batches([], 3, doubling())
    assert (list(batched.results), list(batched.sizes)) == ([], [])


def test_batches_are_halved_until_they_fit_and_stay_so(caplog: pytest.LogCaptureFixture) -> None:
    batched = run_in_batches(
        range(9), 8, doubling(lambda batch: torch.OutOfMemoryError("full") if len(batch) > 2 else None)
    )
    assert list(batched.results) == [2 * row for row in range(9)]
    assert list(batched.sizes) == [2, 2, 2, 2, 1]
    assert [record.message for record in caplog.records] == [
        "out of memory with 8 rows: going on with batches of 4",
        "out of memory with 4 rows: going on with batches of 2",
    ]


def test_a_single_row_that_does_not_fit_is_tried_once_more_and_then_failed() -> None:
    tries = []

    def fails(batch: Sequence[int]) -> Exception | None:
        tries.append(list(batch))
        return torch.OutOfMemoryError("full") if 1 in batch else None

    batched = run_in_batches(range(4), 2, doubling(fails))
    assert list(batched.results) == [0, RowFailure("oom", "OutOfMemoryError: full"), 4, 6]
    assert tries == [[0, 1], [0], [1], [1], [2], [3]]


def test_memory_that_is_back_at_the_second_try_gives_a_result() -> None:
    tries = iter([torch.OutOfMemoryError("full"), None])
    assert list(run_in_batches([3], 1, doubling(lambda _: next(tries))).results) == [6]


def test_a_bad_row_fails_alone_and_later_rows_are_batched_again() -> None:
    batched = run_in_batches(range(6), 3, doubling(lambda batch: ValueError("odd") if 1 in batch else None))
    assert list(batched.results) == [0, RowFailure("error", "ValueError: odd"), 4, 6, 8, 10]
    assert list(batched.sizes) == [1, 1, 3]


def test_a_failure_that_knows_its_kind_keeps_it() -> None:
    batched = run_in_batches([0], 1, doubling(lambda _: ModelError("config", "no")))
    assert list(batched.results) == [RowFailure("config", "no")]


def test_too_few_results_are_a_failure_and_shift_nothing() -> None:
    batched = run_in_batches([1, 2], 2, lambda batch: batch[:1])
    assert list(batched.results) == [1, 2]  # one at a time they are right


def test_a_broken_device_is_not_taken_for_a_bad_row() -> None:
    with pytest.raises(torch.AcceleratorError):
        run_in_batches([1, 2], 2, doubling(lambda _: torch.AcceleratorError("CUDA error: illegal memory access")))
