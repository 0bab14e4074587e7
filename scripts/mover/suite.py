"""The cases, and what two workers' memory does in each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.mover.checkpoint import Size, editor_checkpoint, reward_checkpoint, tiny_checkpoint
from scripts.mover.memory import MappedFiles, mapped_files, private_bytes

_CYCLES = 5
_GB = 1e9


@dataclass(frozen=True)
class Case:
    """One model: its load parameters, and what happens to its weights while they are on the device."""

    name: str
    role: str = "editor"
    params: Mapping[str, Any] = field(default_factory=dict)
    on_device: str | None = None


CASES = (
    Case("as in the files"),
    Case("cast to float16", params={"changed": "cast"}),
    Case("LoRA merged on the host", params={"changed": "lora"}),
    Case("LoRA merged on the device", on_device="lora"),
    Case("fp8", params={"optimizations": {"fp8": True}}),
    Case("compile_repeated_blocks", params={"optimizations": {"compile_repeated_blocks": True}}),
    Case("reward", role="reward"),
)


@dataclass(frozen=True)
class Moves:
    """The private memory of one worker, in bytes, and its share of the files' pages after the last move.

    ``same`` says whether all tensors had the same hashes and the transformer the same output before and after.
    """

    loaded: int
    on_device: int
    back: int
    last: int
    private_copies: int
    files: MappedFiles
    same: bool


class Worker:
    """A worker process."""

    def __init__(self, pool: Path) -> None:
        command = [sys.executable, "-m", "scripts.mover.worker", str(pool)]
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "WARMBENCH_CACHE": str(pool.parent / "cache")}
        self._process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def give(self, **order: Any) -> None:
        """Give an order; ``answer`` waits for what comes of it."""
        if self._process.stdin is not None:  # a pipe
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the order: ``value``, or ``error`` and ``message``.

        Raises:
            RuntimeError: the process ended.
        """
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the worker ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def values(started: Sequence[Worker], **order: Any) -> list[Any]:
    """Have all of these carry out an order, at once, and return its values.

    Raises:
        RuntimeError: one of them failed.
    """
    for worker in started:
        worker.give(**order)
    answers = [worker.answer() for worker in started]
    if failed := [answer for answer in answers if "error" in answer]:
        raise RuntimeError(f"{order}: {failed[0]['error']}: {failed[0]['message']}")
    return [answer["value"] for answer in answers]


@contextmanager
def workers(folder: Path, count: int) -> Iterator[list[Worker]]:
    """So many worker processes."""
    pool = folder / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started = [Worker(pool) for _ in range(count)]
        for worker in started:
            stack.callback(worker.end)
        yield started


def move_all(folder: Path, size: Size, only: Sequence[str] | None) -> Iterator[str]:
    """The lines of two tables: memory in each case, and what is said of files that change."""
    with workers(folder, 2) as started:
        yield f"| weights | files | loaded | on the device | back | {_CYCLES} cycles later | private | files' pages |"
        yield "|---|---|---|---|---|---|---|---|"
        for case in CASES:
            if only is None or case.name in only:
                build = editor_checkpoint if case.role == "editor" else reward_checkpoint
                model = build(folder, size)
                yield _row(case, model, move(started, model, case))
        yield ""
        yield "| file, between two moves | the next move |"
        yield "|---|---|"
        for how in FILE_CHANGES:
            yield f"| {how} | {change_file(started[0], folder, how)} |"


def move(started: Sequence[Worker], model: Path, case: Case) -> list[Moves]:
    """Have these workers load the model, move it away and back, and measure each."""

    def memory() -> list[int]:
        return [private_bytes(worker.pid) for worker in started]

    values(started, do="load", to="host", spec=_spec(case, model))
    loaded = memory()
    values(started, do="place", to="device")
    if case.on_device:
        values(started, do="change", how=case.on_device)
    before, on_device = values(started, do="state", run=True), memory()
    values(started, do="place", to="host")
    back = memory()
    for _ in range(_CYCLES - 1):
        values(started, do="place", to="device")
        values(started, do="place", to="host")
    last = memory()
    values(started, do="place", to="device")
    after = values(started, do="state", run=True)
    values(started, do="place", to="host")
    home = values(started, do="state", run=False)
    in_files = [
        mapped_files(worker.pid, map(Path, at_home["files"])) for worker, at_home in zip(started, home, strict=True)
    ]
    same = [
        one["hash"] == other["hash"] == at_home["hash"] and one["output"] == other["output"]
        for one, other, at_home in zip(before, after, home, strict=True)
    ]
    copies = [at_home["private_copies"] for at_home in home]
    return [Moves(*figures) for figures in zip(loaded, on_device, back, last, copies, in_files, same, strict=True)]


def _spec(case: Case, model: Path) -> dict[str, Any]:
    kind = "SecondCopyEditor" if case.role == "editor" else "SecondCopyReward"
    params = {"dtype": "bfloat16", **case.params}
    return {"role": case.role, "class_path": f"scripts.mover.models.{kind}", "name": str(model), "params": params}


def _row(case: Case, model: Path, moves: Sequence[Moves]) -> str:
    """The line of a table; of two workers, the larger figure."""
    size = sum(file.stat().st_size for file in model.rglob("*.safetensors"))
    base = [one.loaded for one in moves]
    rises = [
        max(getattr(one, name) - at for one, at in zip(moves, base, strict=True))
        for name in ("on_device", "back", "last")
    ]
    share = sum(one.files.share for one in moves) / size
    verdict = "same hashes" if all(one.same for one in moves) else "DIFFERENT HASHES"
    figures = [size, max(base), *rises, max(one.private_copies for one in moves)]
    columns = [f"{figure / _GB:.2f} GB" for figure in figures]
    columns[2:5] = [f"{rise / _GB:+.2f} GB" for rise in rises]
    return f"| {case.name} | {' | '.join(columns)} | {share:.2f} times in memory, {verdict} |"


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _replace(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".new"))
    file.with_suffix(".new").rename(file)


def _overwrite(file: Path) -> None:
    with file.open("rb+") as opened:
        opened.seek(-8, os.SEEK_END)
        opened.write(bytes(range(8)))


FILE_CHANGES: Mapping[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "replaced": _replace,
    "overwritten": _overwrite,
}


def change_file(worker: Worker, folder: Path, how: str) -> str:
    """Change the transformer's file of a model that is off the device; what the worker answers to the next move."""
    model = folder / "changed" / how
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(tiny_checkpoint(folder), model)
    values([worker], do="load", to="host", spec=_spec(Case(how), model))
    values([worker], do="place", to="device")
    values([worker], do="place", to="host")
    FILE_CHANGES[how](next((model / "transformer").glob("*.safetensors")))
    [stale] = values([worker], do="stale")
    worker.give(do="place", to="device")
    answer = worker.answer()
    if not stale or "error" not in answer:
        return f"NOT NOTICED: stale is {stale}, the answer is {answer}"
    return f"`{answer['error']}`: {answer['message'].replace(str(folder), '...')}"
