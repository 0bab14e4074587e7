"""Running warmbench as its users do: a process of its own, real workers, real sockets, and a look at what is left."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from PIL import Image

from protocol.pool import read_pool_card
from scheduler.commands.main import main
from scheduler.terminal.logs import configure_logging
from scripts.place import Place

TIMEOUT = 240
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    output: str


class User:
    """A working directory, and the commands that are run from it.

    ``pool`` names a warm pool of ``place`` that the runs use; without it each run launches and stops its own.
    """

    def __init__(self, folder: Path, place: Place, *, pool: str | None = None) -> None:
        self.folder = folder
        self.home = place.home
        self.output = folder / "outputs"
        self.environment = {**place.environment, "COLUMNS": "200", "NO_COLOR": "1"}
        self._usual = dict(self.environment)
        self._started: list[subprocess.Popen[str]] = []
        self._place = place
        self.pool_options = ("--pool", pool, "--keep-warm") if pool else ()

    def config(self, name: str = "bench", **sections: Any) -> Path:
        """Write a config; ``evaluation.output_dir`` is set."""
        sections.setdefault("evaluation", {})
        sections["evaluation"] = {"output_dir": str(self.output), **sections["evaluation"]}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(sections, allow_unicode=True), encoding="utf-8")
        return path

    def simulated(
        self,
        data: Path,
        *,
        editor: Mapping[str, Any] | None = None,
        reward: Mapping[str, Any] | None = None,
        **sections: Any,
    ) -> Path:
        """A config with simulated models: two editors, one reward, milliseconds of work, edits kept."""
        return self.config(
            benchmark={"data_path": str(data)},
            diffusion_model={
                "type": "simulated",
                "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 5, **(editor or {})},
            },
            reward_model={
                "type": "simulated",
                "params": {"device": "cpu", "latency_ms": 5, "batch_size": 4, **(reward or {})},
            },
            **{"evaluation": {"save_generated_images": True}, **sections},
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command."""
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._started.append(process)
        return process

    def end_started(self) -> None:
        """End the commands that a test has left running, as one that fails may."""
        for process in self._started:
            with process:
                if process.poll() is None:
                    process.kill()

    def run(self, *arguments: str | Path) -> Result:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Result(process.returncode, output)

    def check(self, *arguments: str | Path) -> Result:
        """Run a command that leaves no process behind, in this process: that saves a second of imports."""
        output = io.StringIO()
        with _as_before(), pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(output):
            patch.chdir(self.folder)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            try:
                code = main(list(map(str, arguments)))
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
        return Result(code, output.getvalue())

    def check_config(self, config: Path, *arguments: str | Path) -> Result:
        """``warmbench run`` of what ends before it starts anything, or on a warm pool."""
        return self.check("run", "--config", config, *self.pool_options, *arguments)

    def run_config(self, config: Path, *arguments: str | Path) -> Result:
        """``warmbench run``; in this process if it starts no pool and takes nothing from the environment."""
        run = self.check if self._starts_nothing(config, arguments) else self.run
        return run("run", "--config", config, *self.pool_options, *arguments)

    def start_run(self, config: Path, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start ``warmbench run``."""
        return self.start("run", "--config", config, *self.pool_options, *arguments)

    def score(self, images: Path | str, config: Path, *arguments: str | Path) -> Result:
        """``warmbench score``; in this process, as ``run_config``."""
        run = self.check if self._starts_nothing(config, arguments) else self.run
        return run("score", "--images", images, "--config", config, *self.pool_options, *arguments)

    def _starts_nothing(self, config: Path, arguments: Sequence[str | Path]) -> bool:
        """Whether it is a dry run, or the config's pool is up, and no class or variable of the user's is needed."""
        path = self.folder / config
        own = self.environment != self._usual or not path.is_file() or b"class_path" in path.read_bytes()
        is_up = bool(self.pool_options) or read_pool_card(self.home / config.stem) is not None
        return not own and ("--dry-run" in arguments or (is_up and "--pool" not in arguments))

    # -- what a run leaves

    def run_folder(self) -> Path:
        """The folder of the newest run."""
        return max((self.output / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)

    def report(self) -> dict[str, Any]:
        """The newest report."""
        newest = max(self.output.glob("evaluation_report_*.json"), key=lambda path: path.stat().st_mtime_ns)
        report: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
        return report

    def rows(self, event: str | None = None) -> list[dict[str, Any]]:
        """The newest run's ledger."""
        lines = (self.run_folder() / "results.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if event is None or row["event"] == event]

    def count(self, event: str) -> int:
        """How many rows of this kind the newest run has by now, if there is one yet."""
        with contextlib.suppress(FileNotFoundError, ValueError):  # no folder, an empty one, half a line
            return len(self.rows(event))
        return 0

    def hashes(self) -> dict[str, str]:
        """Pair key to the hash of its edit."""
        return {f"{row['category']}/{row['pair_id']}": row["sha256"] for row in self.rows("edited")}

    def processes(self) -> list[psutil.Process]:
        """The commands, launchers and workers that are alive."""
        return self._place.processes()

    def left_over(self) -> list[str]:
        """What a run that is over should not have left: processes, sockets, cards."""
        patterns = ("*.sock", "*/*.sock", "*/*.json", "*/*.links")
        left = [str(path) for pattern in patterns for path in self.home.glob(pattern)]
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                left.append(" ".join(process.cmdline()))
        return left


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """What a command changes in its process is as before when the block ends: signals and the log. None may hang."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"the command has not ended after {TIMEOUT} s")

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TIMEOUT)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        configure_logging("INFO", None, None, debug=False)


@contextlib.contextmanager
def new_user(folder: Path) -> Iterator[User]:
    """A user with pools of its own; nothing of them stays behind."""
    place = Place()
    user = User(folder, place)
    try:
        yield user
    finally:
        place.end_everything()
        user.end_started()


def picture(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """An image whose corners tell which way is up, and whose colours tell their order: red, green, blue, white."""
    image = Image.new(mode, size, (90, 120, 150, 255)[: len(mode)])
    half = (size[0] // 2, size[1] // 2)
    for place, colour in (
        ((0, 0), (255, 0, 0, 255)),
        ((half[0], 0), (0, 255, 0, 255)),
        ((0, half[1]), (0, 0, 255, 255)),
        (half, (255, 255, 255, 0)),
    ):
        image.paste(colour[: len(mode)], (*place, place[0] + size[0] // 4, place[1] + size[1] // 4))
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> str:
    """The image as base64."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def pair(number: int | str, image: str, instruction: str | None = None) -> dict[str, Any]:
    """A pair of the JSON format."""
    return {
        "pair_id": str(number),
        "original_image_b64": image,
        "original_description": f"picture {number}",
        "edit_instruction": f"change it, {number}" if instruction is None else instruction,
    }


def write_data(path: Path, categories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Write a benchmark."""
    path.write_text(json.dumps(categories, ensure_ascii=False), encoding="utf-8")
    return path


def small_benchmark(path: Path, *, pairs: int = 4, size: tuple[int, int] = (48, 32)) -> Path:
    """Two categories of ``pairs`` pairs each; every image is different."""
    categories: dict[str, list[dict[str, Any]]] = {}
    for name in ("物理", "spatial"):
        categories[name] = []
        for number in range(pairs):
            image = picture((size[0] + number, size[1]))
            image.putpixel((1, 1), (number, len(name), 7))
            categories[name].append(pair(number, encoded(image)))
    return write_data(path, categories)
