"""What two workers' memory does when weights move to their devices and away, and files that change in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.mover.checkpoint import Size, editor_checkpoint
from scripts.mover.suite import CASES, FILE_CHANGES, Moves, Worker, change_file, move, workers

pytestmark = pytest.mark.slow

MB = 10**6
NOISE = 20 * MB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mover")


@pytest.fixture(scope="module")
def two(folder: Path) -> Iterator[list[Worker]]:
    with workers(folder, 2) as started:
        yield started


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return editor_checkpoint(folder, Size(layers=1, heads=16))


@pytest.fixture(scope="module")
def moves(two: list[Worker], model: Path) -> list[Moves]:
    return move(two, model, CASES[0])


def test_private_memory_rises_by_the_devices_copy_and_falls_again(moves: list[Moves], model: Path) -> None:
    size = sum(file.stat().st_size for file in model.rglob("*.safetensors"))
    assert size > 290 * MB
    for worker in moves:
        assert abs(worker.on_device - worker.loaded - size) < NOISE
        assert worker.back - worker.loaded < NOISE
        assert worker.last - worker.back < NOISE, "five cycles without growth"
        assert worker.private_copies < MB


def test_both_workers_share_one_copy_of_the_files_and_neither_changes_it(moves: list[Moves], model: Path) -> None:
    size = sum(file.stat().st_size for file in model.rglob("*.safetensors"))
    assert [worker.files.changed for worker in moves] == [0, 0]
    assert all(worker.files.resident > 0.9 * size for worker in moves)
    assert sum(worker.files.share for worker in moves) < 1.05 * size


def test_all_tensors_have_the_same_hashes_and_the_model_the_same_output(moves: list[Moves]) -> None:
    assert all(worker.same for worker in moves)


@pytest.mark.parametrize("how", FILE_CHANGES)
def test_a_file_that_changed_between_two_moves_is_stale(two: list[Worker], folder: Path, how: str) -> None:
    assert change_file(two[0], folder, how).startswith("`stale`: ")
