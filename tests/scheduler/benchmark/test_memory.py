"""A benchmark must not need memory by its size: what Python allocates is counted, with a file of 40 MB."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest

from scheduler.benchmark import Benchmark, load_benchmark
from tests.scheduler.benchmark.make import base64_of, image_bytes, write_bytes

MEGABYTE = 1_000_000


def load_counting(path: Path) -> tuple[Benchmark, int]:
    """The benchmark, and the most bytes that were allocated at once while it was loaded."""
    load_benchmark(path, limit=1)  # what is imported late and kept is not meant
    tracemalloc.start()
    try:
        benchmark = load_benchmark(path)
        return benchmark, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def one_pair(pair_id: int, image: bytes) -> bytes:
    return b'{"pair_id": %d, "edit_instruction": "x", "original_image_b64": "%s"}' % (pair_id, image)


def test_forty_megabytes_of_images_take_a_few(tmp_path: Path) -> None:
    image = base64_of(image_bytes((500, 500), compress_level=0)).encode()
    pairs = b",\n".join(one_pair(number, image) for number in range(40))
    path = write_bytes(tmp_path, b'{"c": [' + pairs + b"]}")
    assert path.stat().st_size > 40 * MEGABYTE
    benchmark, peak = load_counting(path)
    assert len(benchmark.pairs) == 40
    assert peak < 10 * MEGABYTE


@pytest.mark.parametrize("end", [b'"}]}', b""], ids=["whole", "cut off"])
def test_one_long_string_takes_no_more_than_its_image(tmp_path: Path, end: bytes) -> None:
    noise = random.Random(0).randbytes(30 * MEGABYTE)  # noqa: S311 - no secret
    start = b'{"c": [{"edit_instruction": "x", "pair_id": 1, "original_image_b64": "'
    path = write_bytes(tmp_path, start + base64_of(noise).encode() + end)
    tracemalloc.start()
    try:
        if end:
            assert load_benchmark(path).bad[0].kind == "bad_image"
        else:
            with pytest.raises(Exception, match="cut off"):
                load_benchmark(path)
        assert tracemalloc.get_traced_memory()[1] < 60 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_long_string_that_nobody_wants_takes_nothing(tmp_path: Path) -> None:
    comment = b'"comment": "' + b"x" * (40 * MEGABYTE) + b'", '
    image = base64_of(image_bytes()).encode()
    path = write_bytes(tmp_path, b'{"c": [{' + comment + one_pair(1, image)[1:] + b"]}")
    benchmark, peak = load_counting(path)
    assert len(benchmark.pairs) == 1
    assert peak < 10 * MEGABYTE


def test_many_small_values_that_nobody_wants_take_nothing(tmp_path: Path) -> None:
    numbers = b'"vector": [' + b"0," * 50_000 + b"0], "
    image = base64_of(image_bytes()).encode()
    path = write_bytes(tmp_path, b'{"c": [{' + numbers + one_pair(1, image)[1:] + b"]}")
    benchmark, peak = load_counting(path)
    assert len(benchmark.pairs) == 1
    assert peak < 10 * MEGABYTE
