"""Loads the data of a run while its config is checked, so that all mistakes are reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scheduler.base.shard import Shard
from scheduler.base.stages import Stage
from scheduler.base.text import counted, one_line
from scheduler.benchmark import Benchmark, DataError, load_benchmark
from scheduler.benchmark.configured import load_configured
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, ImagesError
from scheduler.benchmark.edits_elsewhere_files import find_edits
from scheduler.benchmark.formats import FORMATS
from scheduler.benchmark.load import format_named
from scheduler.benchmark.pairs import UnknownPartError
from scheduler.benchmark.sharding import edits_of, shard_of
from scheduler.config.checks.environment import category_problems
from scheduler.config.document import Config
from scheduler.config.problems import Problem, did_you_mean
from scheduler.protocols.official import OfficialError
from scheduler.protocols.prepared import (
    PreparedProtocol,
    official_texts,
    prepare_protocol,
    suitable,
    unsuitable_format,
)


class DataChecks:
    """Three checks of a config, in this order. What they load is there if they find no problem."""

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        thorough: bool,
        images: Path | None,
        images_layout: str | None,
        shard: Shard | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        """See ``prepare``."""
        self.protocol: PreparedProtocol | None = None
        self._benchmark: Benchmark | None = None
        self._edits: EditsElsewhere | None = None
        self._stages = stages
        self._thorough = thorough
        self._images, self._images_layout = images, images_layout
        self._shard = shard
        self._progress = progress

    def data_problems(self, config: Config) -> Iterator[Problem]:
        """Load the benchmark, and its protocol if it is scored by one."""
        settings = config.benchmark
        if settings.format is not None:
            try:
                format_named(settings.format)
            except DataError as error:
                yield Problem("benchmark.format", str(error), did_you_mean(settings.format, FORMATS.names()))
                return
        if settings.data_path is None or not settings.data_path.exists():
            return  # the config's own checks report that
        try:
            benchmark = load_configured(settings, thorough=self._thorough, progress=self._progress)
        except UnknownPartError as error:
            unsuitable = unsuitable_format(config, error.format_name)
            unknown = (Problem(f"benchmark.{key}", message) for key, message in error.problems.items())
            yield from unknown if unsuitable is None else (unsuitable,)
            return
        except DataError as error:
            yield from _explain(config, settings.data_path, error)
            return
        if settings.protocol is not None and "score" in self._stages:
            protocol = prepare_protocol(config, benchmark)
            if not isinstance(protocol, PreparedProtocol):
                yield from protocol
            else:
                try:
                    benchmark = suitable(benchmark, protocol)
                    self.protocol = protocol
                except OfficialError as error:  # a text that another version of the files does not have
                    yield Problem("benchmark.official", str(error))
        self._benchmark = benchmark
        # What only decoding shows, a run finds out by its workers: a dry run has to answer as the run does.
        if not (benchmark.pairs or (self._thorough and load_configured(settings).pairs)):
            yield _all_bad(benchmark)
        elif self._shard is not None and self._shard.count > len(benchmark.items):
            pairs = counted(len(benchmark.items), "pair")
            yield Problem("--shard", f"the data has {pairs}, too few for {self._shard.count} shards", option="--shard")

    def official_problems(self, config: Config) -> Iterator[Problem]:
        """Read the official files, if the data could not be loaded."""
        if self._benchmark is None and config.benchmark.protocol is not None and "score" in self._stages:
            found = official_texts(config)
            if isinstance(found, Problem):
                yield found

    def images_problems(self, config: Config) -> Iterator[Problem]:
        """Find the edits that were made elsewhere."""
        if self._images is None or self._benchmark is None:
            return
        samples = config.evaluation.samples_per_pair
        try:
            self._edits = find_edits(self._images, self._benchmark, samples, self._images_layout)
        except ImagesError as error:
            yield from (Problem("--images", problem, option="--images") for problem in error.problems)

    def of_shard(self, config: Config) -> tuple[Benchmark, EditsElsewhere | None]:
        """Return the benchmark and the edits made elsewhere, of the shard alone: what is checked of the data as a whole
        is the same for all shards.
        """
        if self._benchmark is None:
            raise ValueError("the data was not loaded")
        if self._shard is None:
            return self._benchmark, self._edits
        benchmark = shard_of(self._benchmark, self._shard)
        if self._edits is None:
            return benchmark, None
        return benchmark, edits_of(benchmark, self._edits, config.evaluation.samples_per_pair)


def _all_bad(benchmark: Benchmark) -> Problem:
    message = f"none of the {counted(len(benchmark.bad), 'pair')} of {benchmark.path} can be used"
    reasons = (f"{one_line(pair.key)}: {pair.kind}: {one_line(pair.message)}" for pair in benchmark.bad)
    return Problem("benchmark.data_path", message, "\n      ".join(reasons))


def _explain(config: Config, path: Path, error: DataError) -> list[Problem]:
    """Missing categories are mistakes of the config, each a problem of its own; all else is the data's problem."""
    if config.benchmark.categories:
        try:
            everything = load_benchmark(path, format_name=config.benchmark.format)
        except DataError:
            pass
        else:
            missing = category_problems(config, everything.categories)
            if missing:
                return missing
    return [Problem("benchmark.data_path", str(error))]
