"""All of a run that can be checked before anything is started: config, data, devices, every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scheduler.benchmark import Benchmark, DataError, load_benchmark
from scheduler.config import Config, Environment, Overrides, Problem, category_problems, load_config
from scheduler.devices import Layout, resolve_layout, visible_gpus


@dataclass(frozen=True)
class Prepared:
    """A run that may begin."""

    config: Config
    benchmark: Benchmark
    layout: Layout


def prepare(
    path: Path, overrides: Overrides, *, thorough: bool, progress: Callable[[int], None] | None = None
) -> Prepared:
    """Load and check all that the run needs; ``thorough`` decodes every image whole.

    Raises:
        ConfigError: with every problem of the config, the data as a whole, the models and the devices.
    """
    loaded: list[Benchmark] = []

    def data_problems(config: Config) -> Iterator[Problem]:
        settings = config.benchmark
        if settings.data_path is None or not settings.data_path.exists():
            return  # told by the config's own checks
        try:
            loaded.append(
                load_benchmark(
                    settings.data_path,
                    categories=settings.categories,
                    limit=settings.limit,
                    thorough=thorough,
                    progress=progress,
                )
            )
        except DataError as error:
            yield from _explain(config, settings.data_path, error)

    gpus = visible_gpus()
    config = load_config(path, overrides, Environment(gpus=gpus, more=(data_problems,)))
    return Prepared(config, loaded[0], resolve_layout(config, gpus))


def _explain(config: Config, path: Path, error: DataError) -> list[Problem]:
    """A category that is not there is the config's mistake: tell of each. Anything else is the data's."""
    if config.benchmark.categories:
        try:
            everything = load_benchmark(path)
        except DataError:
            pass
        else:
            found = category_problems(config, everything.categories)
            if found:
                return found
    return [Problem("benchmark.data_path", str(error))]
