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
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[2]
_EXIT_OUT_OF_TIME = 75
_TAIL_LINES = 15
_POLL_SECONDS = 0.1

Report = Callable[[Mapping[str, Any]], None]


class OutOfTimeError(Exception):
    """There was not enough time; another call can continue."""


class JobError(Exception):
    """The process of a job failed."""


def run_job(folder: Path, module: str, job: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """Run ``python -m module JOB`` and yield each result as soon as it is written.

    Raises:
        OutOfTimeError: it took longer than ``seconds``, or ran out of time itself.
        JobError: it failed; with the end of its output.
    """
    path, log = folder / "job.json", folder / "job.log"
    path.write_text(json.dumps(job), encoding="utf-8")
    until = time.monotonic() + seconds
    with _process([sys.executable, "-m", module, str(path)], log) as process:
        _rows_of(path).touch()
        with _rows_of(path).open("rb") as rows:
            while _is_running(process, until):
                yield from _new_rows(rows)
            code = process.poll()
            yield from _new_rows(rows)
    if code is None or code == _EXIT_OUT_OF_TIME:
        raise OutOfTimeError("there was not enough time")
    if code:
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
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


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed if the block ends before it."""
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
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_running(process: subprocess.Popen[bytes], until: float) -> bool:
    """Wait for a moment; whether the process is still running and has time left."""
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return time.monotonic() < until
    return False


def _new_rows(rows: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The complete lines that were written since the last call."""
    while (line := rows.readline()).endswith(b"\n"):
        yield json.loads(line)
    rows.seek(-len(line), os.SEEK_CUR)


def _rows_of(job: Path) -> Path:
    return job.with_suffix(".rows.jsonl")
