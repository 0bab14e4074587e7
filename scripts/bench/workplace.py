"""A place where runs are measured as their users start them, and of which nothing stays behind.

It has a WARMBENCH_HOME of its own, so pools that the user has up are neither used nor touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import psutil
import yaml

from protocol.plan import PoolPlan
from protocol.pool import read_pool_card, read_worker_cards
from scripts.bench.runs import BegunRun, BenchError, FinishedRun, wait_for

_ROOT = Path(__file__).resolve().parents[2]
_END_SECONDS = 20.0


class Workplace:
    """A folder for configs, data and outputs, and the pools that run from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._home = folder / "home"
        self._home.mkdir(mode=0o700)
        self._environment = {
            **os.environ,
            "WARMBENCH_HOME": str(self._home),
            "OMP_NUM_THREADS": "1",
            "CI": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._environment.pop("CUDA_VISIBLE_DEVICES", None)
        self._runs = 0
        self._launched: list[subprocess.Popen[bytes]] = []
        self._sessions: list[int] = []

    def run(
        self,
        data: Path,
        *options: str,
        pool: str,
        editor: Mapping[str, Any],
        reward: Mapping[str, Any],
        sections: Mapping[str, Any] = MappingProxyType({}),
    ) -> FinishedRun:
        """Run ``warmbench run`` with simulated models to its end; their ``params`` are ``editor`` and ``reward``.

        ``sections`` are the config's other ones.

        Raises:
            BenchError: its exit code is not 0.
        """
        return self.begin(data, *options, pool=pool, editor=editor, reward=reward, sections=sections).finish()

    def begin(
        self,
        data: Path,
        *options: str,
        pool: str,
        editor: Mapping[str, Any],
        reward: Mapping[str, Any],
        sections: Mapping[str, Any] = MappingProxyType({}),
    ) -> BegunRun:
        """The same, without waiting for its end."""
        config, output = self._config(data, editor, reward, sections)
        arguments = ("-m", "scheduler", "run", "--config", str(config), "--pool", pool, *options)
        return BegunRun(time.time(), output, arguments, *self._popen(*arguments))

    def worker(self, pool: str, worker_id: str) -> psutil.Process:
        """The process of a worker of a pool that is up.

        Raises:
            BenchError: there is none.
        """
        for card in read_worker_cards(self._home / pool):
            if card.worker_id == worker_id:
                return psutil.Process(card.pid)
        raise BenchError(f"pool {pool} has no {worker_id}")

    def start(
        self,
        data: Path,
        *,
        pool: str,
        editor: Mapping[str, Any],
        reward: Mapping[str, Any],
        sections: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Launch a pool and return when all of its workers are ready.

        Raises:
            BenchError: it did not come up.
        """
        config, _ = self._config(data, editor, reward, sections)
        self._command("workers", "start", "--config", str(config), "--pool", pool)

    def launch(self, plan: PoolPlan) -> None:
        """Launch a pool from a plan; its workers load while the caller goes on.

        Raises:
            BenchError: it did not come up.
        """
        folder = self._home / plan.name
        folder.mkdir(mode=0o700)
        with (folder / "launcher.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers", "launch", "--folder", str(folder)],
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._launched.append(process)
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        with process.stdin as pipe:
            pipe.write(msgspec.json.encode(plan))
        deadline = time.monotonic() + _END_SECONDS
        while read_pool_card(folder) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"pool {plan.name} did not come up: see {folder / 'launcher.log'}")
            time.sleep(0.05)

    def write_config(self, data: Path, editor: Mapping[str, Any], reward: Mapping[str, Any]) -> Path:
        """Write a config with simulated models and return its path."""
        return self._config(data, editor, reward, {})[0]

    def stop(self, pool: str) -> None:
        """End the pool, if it is up."""
        card = read_pool_card(self._home / pool)
        if card is not None:
            with contextlib.suppress(psutil.Error):
                launcher = psutil.Process(card.pid)
                launcher.terminate()
                launcher.wait(_END_SECONDS)
        for process in self._launched:
            process.poll()

    def python(self, *arguments: str) -> None:
        """Run another program to its end, from the repository's root.

        Raises:
            BenchError: its exit code is not 0.
        """
        process, log = self._popen(*arguments)
        self._sessions.append(process.pid)
        wait_for(process, arguments, log)
        self._sessions.remove(process.pid)

    def new_folder(self, prefix: str) -> Path:
        """A folder that ``clear`` removes. Its path is short, as there will be sockets in it."""
        self._runs += 1
        folder = self.folder / f"{prefix}-{self._runs}"
        folder.mkdir(mode=0o700)
        return folder

    def pool_processes(self, pool: str) -> list[psutil.Process]:
        """The launcher and the workers of a pool that is up."""
        folder = self._home / pool
        cards = [read_pool_card(folder), *read_worker_cards(folder)]
        return [psutil.Process(card.pid) for card in cards if card is not None]

    def clear(self) -> None:
        """Drop the runs that were measured: their images are many."""
        for path in [*self.folder.glob("run-*"), *self.folder.glob("p-*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def end_everything(self) -> None:
        """Kill whatever was started here and still runs, and remove the folder."""
        deadline = time.monotonic() + _END_SECONDS
        # Again and again: a launcher may have started another worker just before it was killed.
        while (processes := self._processes()) and time.monotonic() < deadline:
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(processes, timeout=_END_SECONDS)
        for launched in self._launched:
            launched.wait(_END_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _config(
        self, data: Path, editor: Mapping[str, Any], reward: Mapping[str, Any], sections: Mapping[str, Any]
    ) -> tuple[Path, Path]:
        """Write a config with an output folder of its own, and return the paths of both."""
        self._runs += 1
        output = self.folder / f"run-{self._runs}"
        config = output.with_suffix(".yaml")
        content = {
            "benchmark": {"data_path": str(data)},
            "diffusion_model": _model(editor),
            "reward_model": _model(reward),
            **sections,
            "evaluation": {
                "output_dir": str(output),
                "save_generated_images": True,
                **sections.get("evaluation", {}),
            },
        }
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        return config, output

    def _processes(self) -> list[psutil.Process]:
        """The commands, launchers and workers of this place: all of them have its folder on their command line, or
        are in the session of a program that did not come to its end, as Ray's agents are, which take another name.
        """
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                named = any(str(self.folder) in part for part in process.cmdline())
                if named or os.getsid(process.pid) in self._sessions:
                    found.append(process)
        return found

    def _popen(self, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start it; what it says goes into the file. (A pipe would stop it as soon as it is full.)"""
        self._runs += 1
        log = self.folder / f"run-{self._runs}.log"
        with log.open("wb") as file:
            # A session of its own: Ctrl-C reaches the bench alone, which then ends everything.
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, log

    def _command(self, *arguments: str) -> None:
        self.python("-m", "scheduler", *arguments)


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """A place that is gone when the block ends, however it ends."""
    # Under /tmp and short: a socket's path has at most 107 bytes.
    place = Workplace(Path(tempfile.mkdtemp(prefix="wb-", dir="/tmp")))
    try:
        yield place
    finally:
        with _uninterrupted():
            place.end_everything()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C has been heard, or is not needed any more: what remains is quick, and must be done."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    earlier = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, earlier, strict=True):
            signal.signal(number, handler)


def _model(params: Mapping[str, Any]) -> dict[str, Any]:
    """A model's section: simulated, unless ``params`` names a ``type``."""
    own = dict(params)
    return {"type": own.pop("type", "simulated"), "params": own}
