"""A run as its directory has it, readable while another process works on the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from scheduler.base.files import read_json
from scheduler.base.stages import BOTH_STAGES, Stage
from scheduler.config.problems import ConfigError
from scheduler.config.reading.yaml_source import read_source
from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS, chosen_metrics
from scheduler.report.model import Report
from scheduler.store.checked_rows import checked_rows
from scheduler.store.human_scores import HumanScores
from scheduler.store.ledger import LEDGER, is_written, read_ledger
from scheduler.store.results import Expected
from scheduler.store.rows import Row
from scheduler.store.run_names import locate_run

_MAX_COUNT = 1000
"""The most samples of a pair, or passes, that a config can ask for."""


class SavedRun(Struct, frozen=True):
    """A run's record. If an older or damaged run lacks a part of it, ``expected`` and ``metrics`` are those of the
    config, else the defaults. ``output_dir`` has the run's reports.
    """

    path: Path
    output_dir: Path
    manifest: Mapping[str, Any]
    expected: Expected
    metrics: tuple[str, ...]
    log: Path | None

    @property
    def stamp(self) -> str:
        """The run's id."""
        return self.path.name

    def rows(self) -> Iterator[Row]:
        """The rows of the ledger, those that are impossible as failures. An incomplete last line is ignored.

        Raises:
            OSError: the ledger cannot be read.
        """
        return checked_rows(read_ledger(self.path / LEDGER, growing=True), self.path, self.manifest)

    def report(self, human: HumanScores | None = None, *, intervals: bool = True) -> Report:
        """The report of what the ledger has now, compared with scores by people if there are any. Without ``intervals``
        the official numbers have none, which takes seconds less.

        Raises:
            OSError: the ledger cannot be read.
        """
        return build_report(
            self.rows(), manifest=self.manifest, expected=self.expected, human=human, intervals=intervals
        )

    def is_running(self) -> bool | None:
        """Whether a process works on the run; None if that is unknown.

        Raises:
            OSError: the ledger cannot be read.
        """
        return is_written(self.path / LEDGER)

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments that the run was started with; empty if unknown."""
        words = self.manifest.get("command")
        known = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words[1:]) if known and words else ()


def open_run(run: str, output_dir: Path | None) -> SavedRun:
    """The run with this id, or ``latest``, under ``output_dir`` (default ``outputs``), or in this folder.

    Raises:
        scheduler.store.run_names.NoSuchRunError: there is no such run.
    """
    path = locate_run(run, output_dir or Path("outputs"))
    if path.name in ("", ".."):
        path = path.resolve()
    if output_dir is None:
        # A run's directory is <output_dir>/runs/<stamp>.
        output_dir = path.parent.parent if path.absolute().parent.name == "runs" else path
    return read_run(path, output_dir)


def read_run(path: Path, output_dir: Path) -> SavedRun:
    """The run in the directory ``path``, with its reports in ``output_dir``."""
    evaluation, logging_ = _sections(path / "config.yaml")
    manifest = read_json(path / "manifest.json")
    return SavedRun(
        path=path,
        output_dir=output_dir,
        manifest=manifest,
        expected=Expected(
            samples_per_pair=_count("samples_per_pair", manifest, evaluation),
            reward_passes=_count("reward_passes", manifest, evaluation),
            stages=_stages(manifest.get("stages")),
        ),
        metrics=_metrics(evaluation.get("metrics")),
        log=_log(path, output_dir, logging_.get("log_dir")),
    )


def _sections(config: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The sections ``evaluation`` and ``logging``; empty if there is no readable config."""
    try:
        data = read_source(config).data
    except ConfigError:
        return {}, {}
    sections = (data.get(name) for name in ("evaluation", "logging"))
    evaluation, logging_ = (section if isinstance(section, dict) else {} for section in sections)
    return evaluation, logging_


def _count(name: str, *places: Mapping[str, Any]) -> int:
    values = (place.get(name) for place in places)
    return next((value for value in values if isinstance(value, int) and 1 <= value <= _MAX_COUNT), 1)


def _stages(named: Any) -> tuple[Stage, ...]:
    """The stages that the run's last part was asked for; both if that is unknown."""
    return tuple(stage for stage in BOTH_STAGES if isinstance(named, list) and stage in named) or BOTH_STAGES


def _metrics(named: Any) -> tuple[str, ...]:
    try:
        return tuple(chosen_metrics(named)) if isinstance(named, list) and named else DEFAULT_METRICS
    except (ValueError, TypeError):
        return DEFAULT_METRICS


def _log(path: Path, output_dir: Path, log_dir: Any) -> Path | None:
    """The run's log. A relative folder in its config is relative to where the run was started, which is unknown."""
    folders = [output_dir / "logs", *([Path(log_dir)] if isinstance(log_dir, str) else [])]
    files = [folder / f"benchmark_{path.name}.log" for folder in folders]
    return next((file for file in files if file.is_file()), None)
