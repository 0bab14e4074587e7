"""A command of the user's that is started after each run's report is written (``--on-result``), with the run's figures
in environment variables.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scheduler.base.interrupts import held_back
from scheduler.base.text import format_duration
from scheduler.report.model import Report
from scheduler.store.checkpoints import recorded_step
from scheduler.store.titles import run_title

log = logging.getLogger("warmbench")

TIMEOUT_SECONDS = 600.0
_PATIENCE_SECONDS = 5.0
"""How long a command that is to end has for it after SIGTERM."""


class ResultHook:
    """The command. Its failure is logged, and is never one of the run."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        secrets: Collection[str] = (),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """``command`` is started without a shell. ``secrets`` are variables of the environment that it does not get,
        such as the key of the judge.
        """
        self._command = tuple(command)
        self._secrets = frozenset(secrets)
        self._timeout = timeout_seconds

    def __call__(self, variables: Mapping[str, str]) -> None:
        """Start it with these variables and wait for its end.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; the command and what it has started have ended.
        """
        name = shlex.join(self._command)
        environment = {key: value for key, value in os.environ.items() if key not in self._secrets}
        process = None
        try:
            with held_back():  # until the process is known, or Ctrl-C would leave it running
                process = subprocess.Popen(
                    self._command,
                    env={**environment, **variables},
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # a group of its own, which can be ended as a whole
                )
            code = process.wait(self._timeout)
        except (OSError, ValueError) as error:
            log.error("--on-result: %s could not be started: %s", name, error)
        except subprocess.TimeoutExpired:
            _end(process)
            log.error("--on-result: %s was ended after %s", name, format_duration(self._timeout))
        except BaseException:
            _end(process)
            raise
        else:
            if code:
                log.error("--on-result: %s ended with exit code %d", name, code)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """End the command and all that it has started."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def result_variables(report: Report, run: Path, output_dir: Path, code: int) -> dict[str, str]:
    """Return what the command gets to know of a run in this folder, whose reports are in ``output_dir``. A figure that
    does not exist is an empty text. ``code`` is the run's exit code.
    """
    overall, official, manifest = report.overall, report.official, report.provenance
    interval = overall.ci95
    main = official.main if official is not None else None
    editor = manifest.get("editor")
    figures: dict[str, object] = {
        "RUN": run.name,
        "RUN_DIRECTORY": run.absolute(),
        "REPORT": (output_dir / f"evaluation_report_{run.name}.json").absolute(),
        "TITLE": run_title(manifest, run.name),
        "CHECKPOINT": editor.get("model_name") if isinstance(editor, Mapping) else None,
        "STEP": recorded_step(manifest),
        "STATUS": report.status,
        "EXIT_CODE": code,
        "PAIRS": overall.num_pairs,
        "SCORED": overall.num_samples,
        "FAILED": overall.num_failed,
        "MISSING": overall.num_missing,
        "MEAN": overall.mean,
        "MEAN_LOW": interval[0] if interval else None,
        "MEAN_HIGH": interval[1] if interval else None,
        "OFFICIAL_NAME": main,
        "OFFICIAL": official.numbers.get(main) if official is not None and main is not None else None,
    }
    texts = {name: "" if value is None else str(value) for name, value in figures.items()}
    return {f"WARMBENCH_{name}": text.replace("\0", "") for name, text in texts.items()}
