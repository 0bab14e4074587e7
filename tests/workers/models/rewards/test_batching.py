"""Batches get smaller where memory is short, and one bad row does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.interface import ModelError
from workers.models.rewards.batching import BatchSizes, RowFailure, run_in_batches
from workers.models.rewards.parameters import RewardSettings, read_settings


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
    import torch

    batched = run_in_batches(
        range(9), 8, doubling(lambda batch: torch.OutOfMemoryError("full") if len(batch) > 2 else None)
    )
    assert list(batched.results) == [2 * row for row in range(9)]
    assert list(batched.sizes) == [2, 2, 2, 2, 1]
    assert [record.message for record in caplog.records] == [
        "out of memory with 8 rows: continuing with batches of 4",
        "out of memory with 4 rows: continuing with batches of 2",
    ]


def test_a_single_row_that_does_not_fit_is_tried_again_and_then_failed() -> None:
    import torch

    tries = []

    def fails(batch: Sequence[int]) -> Exception | None:
        tries.append(list(batch))
        return torch.OutOfMemoryError("full") if 1 in batch else None

    batched = run_in_batches(range(4), 2, doubling(fails))
    assert list(batched.results) == [0, RowFailure("oom", "OutOfMemoryError: full"), 4, 6]
    assert tries == [[0, 1], [0], [1], [1], [2, 3]]
    assert batched.fitting == 2, "the row was too large, not the batch"


@pytest.mark.parametrize(("room", "fitting"), [(9, 8), (8, 8), (7, 4), (3, 2), (1, 1)])
def test_the_size_that_fitted_is_known_afterwards(room: int, fitting: int) -> None:
    import torch

    fails = doubling(lambda batch: torch.OutOfMemoryError("full") if len(batch) > room else None)
    assert run_in_batches(range(20), 8, fails).fitting == fitting


def test_other_errors_leave_the_size_as_it_is() -> None:
    assert run_in_batches(range(6), 3, doubling(lambda batch: ValueError("odd") if 1 in batch else None)).fitting == 3


class TestRemembering:
    """What fitted is remembered for the same kind of questions, until the model moves."""

    def tried(self, sizes: BatchSizes, settings: RewardSettings, *, room: int, rows: int = 16) -> list[int]:
        tries: list[int] = []

        def run(batch: Sequence[int]) -> Sequence[int]:
            import torch

            tries.append(len(batch))
            if len(batch) > room:
                raise torch.OutOfMemoryError("full")
            return batch

        sizes.run(range(rows), settings, run, lambda _: 1)
        return tries

    def test_later_batches_begin_with_the_size_that_fitted(self) -> None:
        sizes, settings = BatchSizes(), read_settings({"batch_size": 8})
        assert self.tried(sizes, settings, room=4) == [8, 4, 4, 4, 4]
        assert self.tried(sizes, settings, room=4) == [4, 4, 4, 4]
        assert sizes.first(settings) == 4
        assert self.tried(sizes, read_settings({"batch_size": 2}), room=4, rows=4) == [2, 2]
        assert self.tried(sizes, read_settings({"batch_size": 16}), room=4, rows=4) == [4]

    def test_other_questions_begin_with_their_own_size(self) -> None:
        sizes, settings = BatchSizes(), read_settings({"batch_size": 8})
        self.tried(sizes, settings, room=1)
        for other in ({"scoring": "logits"}, {"max_pixels": 50_000}, {"compare_with_original": True}):
            assert sizes.first(read_settings({"batch_size": 8, **other})) == 8
        assert sizes.first(settings) == 1

    def test_a_model_that_moved_begins_anew(self) -> None:
        sizes, settings = BatchSizes(), read_settings({"batch_size": 8})
        self.tried(sizes, settings, room=4)
        sizes.forget()
        assert sizes.first(settings) == 8


def test_memory_that_is_back_at_the_second_try_gives_a_result() -> None:
    import torch

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


def test_rows_of_like_length_run_together_the_longest_first() -> None:
    lengths = [3, 9, 1, 8, 2, 9]
    batches: list[list[int]] = []

    def run(batch: Sequence[int]) -> Sequence[int]:
        batches.append([lengths[row] for row in batch])
        return list(batch)

    batched = run_in_batches(range(6), 2, run, lambda row: lengths[row])
    assert batches == [[9, 9], [8, 3], [2, 1]]
    assert list(batched.results) == [0, 1, 2, 3, 4, 5]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=12),
    batch_size=st.integers(1, 9),
    room=st.integers(0, 200),
)
def test_every_row_has_its_own_result_whatever_fits_and_fails(
    rows: list[tuple[int, bool]], batch_size: int, room: int
) -> None:
    """A row is its length and whether it is bad; the device has room for so many tokens, padding included."""
    import torch

    def run(batch: Sequence[tuple[int, tuple[int, bool]]]) -> Sequence[int]:
        if len(batch) * max(length for _, (length, _) in batch) > room:
            raise torch.OutOfMemoryError("full")
        if any(bad for _, (_, bad) in batch):
            raise ValueError("bad")
        return [number for number, _ in batch]

    batched = run_in_batches(list(enumerate(rows)), batch_size, run, lambda row: row[1][0])
    expected = [
        RowFailure("oom", "OutOfMemoryError: full")
        if length > room
        else RowFailure("error", "ValueError: bad")
        if bad
        else number
        for number, (length, bad) in enumerate(rows)
    ]
    assert list(batched.results) == expected
    assert all(size <= batch_size for size in batched.sizes)
    assert sum(batched.sizes) == sum(isinstance(result, int) for result in expected)


def test_a_broken_device_is_not_taken_for_a_bad_row() -> None:
    import torch

    with pytest.raises(torch.AcceleratorError):
        run_in_batches([1, 2], 2, doubling(lambda _: torch.AcceleratorError("CUDA error: illegal memory access")))
