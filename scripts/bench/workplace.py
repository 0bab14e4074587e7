"""A temporary folder with its own pools, where runs are started as by a user. It does not touch the user's pools."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, Unpack

import yaml

from scripts.bench.runs import ActiveRun, FinishedRun, wait_for
from scripts.place import Place

_ROOT = Path(__file__).resolve().parents[2]


class RunParameters(TypedDict):
    """The pool's name, the ``params`` of the simulated models, and the other sections of the config."""

    pool: str
    editor: Mapping[str, Any]
    reward: Mapping[str, Any]
    sections: NotRequired[Mapping[str, Any]]


class Workplace(Place):
    """A folder for configs, data and outputs, and the pools that run from it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = self.root
        self.environment |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        self._runs = 0
        self._sessions: list[int] = []

    def run(self, data: Path, *options: str, **parameters: Unpack[RunParameters]) -> FinishedRun:
        """Run ``warmbench run`` with these options to its end.

        Raises:
            BenchError: its exit code is not 0.
        """
        return self.start_run(data, *options, **parameters).finish()

    def start_run(self, data: Path, *options: str, **parameters: Unpack[RunParameters]) -> ActiveRun:
        """The same, without waiting for its end."""
        config, output = self._config(data, parameters)
        arguments = ("-m", "scheduler", "run", "--config", str(config), "--pool", parameters["pool"], *options)
        return ActiveRun(time.time(), output, arguments, *self._popen(*arguments))

    def start(self, data: Path, **parameters: Unpack[RunParameters]) -> None:
        """Launch a pool and return when all its workers are ready.

        Raises:
            BenchError: it did not come up.
        """
        config, _ = self._config(data, parameters)
        self.python("-m", "scheduler", "workers", "start", "--config", str(config), "--pool", parameters["pool"])

    def write_config(self, data: Path, editor: Mapping[str, Any], reward: Mapping[str, Any]) -> Path:
        """Write a config with simulated models and return its path."""
        return self._config(data, {"pool": "", "editor": editor, "reward": reward})[0]

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
        """A folder that ``clear`` removes. Its path is short, since sockets are made in it."""
        self._runs += 1
        folder = self.folder / f"{prefix}-{self._runs}"
        folder.mkdir(mode=0o700)
        return folder

    def clear(self) -> None:
        """Remove the measured runs, which have many images."""
        for path in [*self.folder.glob("run-*"), *self.folder.glob("p-*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _config(self, data: Path, parameters: RunParameters) -> tuple[Path, Path]:
        """Write a config with its own output folder, and return both paths."""
        self._runs += 1
        output = self.folder / f"run-{self._runs}"
        config = output.with_suffix(".yaml")
        sections = parameters.get("sections", {})
        content = {
            "benchmark": {"data_path": str(data)},
            "diffusion_model": _model(parameters["editor"]),
            "reward_model": _model(parameters["reward"]),
            **sections,
            "evaluation": {
                "output_dir": str(output),
                "save_generated_images": True,
                **sections.get("evaluation", {}),
            },
        }
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        return config, output

    def _owns(self, pid: int) -> bool:
        # Also the processes in the session of a program that did not end: Ray's agents have other command lines.
        return super()._owns(pid) or os.getsid(pid) in self._sessions

    def _popen(self, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start Python with its output in a file. (A full pipe would block it.)"""
        self._runs += 1
        log = self.folder / f"run-{self._runs}.log"
        with log.open("wb") as file:
            # Its own session: Ctrl-C reaches the bench only, which then ends everything.
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, log


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """A workplace that is removed when the block ends, however it ends."""
    place = Workplace()
    try:
        yield place
    finally:
        with _uninterrupted():
            place.end_everything()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: the clean-up is quick and must finish."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    earlier = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, earlier, strict=True):
            signal.signal(number, handler)


def _model(params: Mapping[str, Any]) -> dict[str, Any]:
    """A model's section: simulated, unless ``params`` names a ``type`` or a ``class_path``."""
    own = dict(params)
    if "class_path" in own:
        return {"class_path": own.pop("class_path"), "params": own}
    return {"type": own.pop("type", "simulated"), "params": own}
