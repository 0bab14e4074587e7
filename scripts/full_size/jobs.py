"""Runs work in another process, which frees the device's memory when it ends, and can be killed when time is up.

A job is a JSON file. The process writes each result at once as a JSON line to another file, so that its results count
even if it is killed or crashes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_EXIT_OUT_OF_TIME = 75
_TAIL_LINES = 15

Report = Callable[[Mapping[str, Any]], None]


class OutOfTimeError(Exception):
    """There was not enough time; another call can continue."""


class JobError(Exception):
    """The process of a job failed."""


def run_job(folder: Path, module: str, job: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """Run ``python -m module JOB`` and yield its results when it has ended.

    Raises:
        OutOfTimeError: it took longer than ``seconds``, or ran out of time itself.
        JobError: it failed; with the end of its output.
    """
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    code = _run([sys.executable, "-m", module, str(path)], folder / "job.log", seconds)
    rows = _rows_of(path)
    if rows.exists():
        for line in rows.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)
    if code is None or code == _EXIT_OUT_OF_TIME:
        raise OutOfTimeError("there was not enough time")
    if code:
        end = (folder / "job.log").read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise JobError("\n".join([f"`python -m {module}` {ended}:", *end]))


def work_on_job(work: Callable[[dict[str, Any], Report], None]) -> None:
    """The main function of a job's process."""
    path = Path(sys.argv[1])
    with _rows_of(path).open("w", encoding="utf-8") as file:

        def report(row: Mapping[str, Any]) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        try:
            work(json.loads(path.read_text(encoding="utf-8")), report)
        except OutOfTimeError:
            sys.exit(_EXIT_OUT_OF_TIME)
        except Exception as error:  # noqa: BLE001 - the last line of the output must be the error's message
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(1)


def _run(command: list[str], log: Path, seconds: float) -> int | None:
    """The exit code, or None if it had to be killed."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _rows_of(job: Path) -> Path:
    return job.with_suffix(".rows.jsonl")
