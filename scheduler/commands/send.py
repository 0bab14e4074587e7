"""Sends a run's results again: ``warmbench report --send``."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from scheduler.report.model import Report
from scheduler.report.saved_run import SavedRun
from scheduler.terminal.logs import configure_logging


class Send:
    """The trackers of a config."""

    def __init__(self, run: SavedRun, config: Path | None) -> None:
        """Read the config, or that of the run. Raises ``ValueError``: it is wrong, or has no tracker that works."""
        from scheduler.config.checks.environment import (
            tracker_problems,
        )  # imports pydantic, and --help does not need it
        from scheduler.config.loading import load_config
        from scheduler.config.problems import ConfigError
        from scheduler.run.prepare import secret_variables

        file = config or run.path / "config.yaml"
        loaded = load_config(file)
        self._run = run
        self._trackers = loaded.trackers.wanted
        self._secrets = secret_variables(loaded)
        if not self._trackers:
            raise ValueError(f"{file} names no tracker: write `trackers`, or name a config that has it with --config")
        if problems := [problem for _, problem in tracker_problems(loaded)]:
            raise ConfigError(problems, file)

    def __call__(self, report: Report, console: Console) -> bool:
        """Send, and return whether every tracker has the results. Raises ``ValueError``: there is nothing to send."""
        from scheduler.report.tracked import to_send
        from scheduler.trackers.sending import Sender

        configure_logging("INFO", None, console, debug=False)
        orders = list(to_send(self._trackers, report, self._run.path, self._run.output_dir))
        if not orders:
            raise ValueError("there is nothing to send: the run is a shard, or without scores")
        sender = Sender()
        try:
            for order in orders:
                sender.send(order, secrets=self._secrets)
        finally:
            sender.close()
        return not sender.failed
