"""Loads the benchmark that a config asks for."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.benchmark.formats.declaration import FieldMap
from scheduler.benchmark.load import load_benchmark
from scheduler.benchmark.pairs import Benchmark, DataError
from scheduler.config.sections import BenchmarkSection


def load_configured(
    settings: BenchmarkSection, *, thorough: bool = False, progress: Callable[[int], None] | None = None
) -> Benchmark:
    """Load it; see ``load_benchmark``. Raises ``DataError`` also if the config names no data."""
    if settings.data_path is None:
        raise DataError("benchmark.data_path is missing")
    return load_benchmark(
        settings.data_path,
        format_name=settings.format,
        fields=FieldMap(**settings.fields.model_dump()) if settings.fields is not None else None,
        categories=settings.categories,
        language=settings.language,
        subset=settings.subset,
        limit=settings.limit,
        thorough=thorough,
        progress=progress,
    )
