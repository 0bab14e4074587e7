"""``python -m scripts.scale``: runs the real command on crowds of simulated workers, and prints what it carried."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import psutil
import yaml
from rich.console import Console
from rich.table import Table

from scheduler.config.loading import load_config
from scheduler.config.requests import editor_spec, reward_spec
from scripts.bench.pictures import write_pairs
from scripts.bench.workplace import Workplace, workplace
from scripts.scale.crowd import Member, picture
from scripts.scale.stand_in import StandIn

POOL = "crowd"
_PROCESSES = 4
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Setting:
    """One measurement: so many editors, whose edits take ``seconds`` each, in ``rounds`` rounds."""

    editors: int
    seconds: float
    rounds: int
    rewards: int
    barriers: bool
    kilobytes: int


@dataclass(frozen=True)
class Measured:
    """What came of it. Times are in seconds; ``thread_ms`` is the CPU time of the scheduler's thread per job.

    ``thread_share`` is the part of the time that this thread was busy; ``barrier_ms`` is from the last end of a round
    to the last start of the next one.
    """

    jobs_per_second: float
    share: float
    thread_ms: float
    thread_share: float
    process_ms: float
    barrier_ms: float | None


def measure(place: Workplace, setting: Setting, profile: Path | None = None) -> Measured:
    """Run the command once on a crowd of its own."""
    image = picture(setting.kilobytes)
    data = write_pairs(place.folder / "scale.json", [setting.editors * setting.rounds], [image]).path
    config = place.folder / "scale.yaml"
    output = place.new_folder("run")
    content = {  # devices are those of the pool, which is used as it is
        "benchmark": {"data_path": str(data)},
        "diffusion_model": {
            "type": "simulated",
            "params": {"device_ids": ["cpu"], "enable_batch_sync": setting.barriers},
        },
        "reward_model": {
            "type": "simulated",
            "params": {"device": "cpu", "batch_size": 1},
        },
        "evaluation": {"output_dir": str(output), "save_generated_images": True},
        "scheduler": {"residency": "resident"},
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    with _crowd(place, config, setting):
        stages = "edit,score" if setting.rewards else "edit"
        profiled = ["-m", "cProfile", "-o", str(profile)] if profile is not None else []
        words = ["run", "--config", str(config), "--pool", POOL, "--no-launch", "--stages", stages]
        log = place.folder / "scale.log"
        with log.open("wb") as file:
            command = [sys.executable, *profiled, "-m", "scheduler", *words]
            process = subprocess.Popen(command, env=place.environment, stdout=file, stderr=file)
        samples = _watch(process)
        if process.returncode:
            raise SystemExit(log.read_text(encoding="utf-8", errors="replace")[-3000:])
    (ledger,) = output.glob("runs/*/results.jsonl")
    rows = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    return summed_up(setting, [row for row in rows if row["event"] == "edited"], samples)


def summed_up(
    setting: Setting, edits: Sequence[dict[str, Any]], samples: Sequence[tuple[float, float, float]]
) -> Measured:
    """``samples`` are times, each with the CPU seconds of the thread and of the process until then."""
    first, last = min(row["started"] for row in edits), max(row["finished"] for row in edits)
    before = max((sample for sample in samples if sample[0] <= first), default=samples[0])
    after = min((sample for sample in samples if sample[0] >= last), default=samples[-1])
    jobs, wall = len(edits), last - first
    return Measured(
        jobs_per_second=jobs / wall,
        share=setting.rounds * setting.seconds / wall,
        thread_ms=(after[1] - before[1]) / jobs * 1000,
        thread_share=(after[1] - before[1]) / (after[0] - before[0]),
        process_ms=(after[2] - before[2]) / jobs * 1000,
        barrier_ms=_barrier(edits) if setting.barriers else None,
    )


def _barrier(edits: Sequence[dict[str, Any]]) -> float | None:
    rounds: dict[int, list[dict[str, Any]]] = {}
    for row in edits:
        rounds.setdefault(row["round"], []).append(row)
    waits = [
        max(row["started"] for row in rounds[number + 1]) - max(row["finished"] for row in rounds[number])
        for number in rounds
        if number + 1 in rounds
    ]
    return median(waits) * 1000 if waits else None


def _watch(process: subprocess.Popen[bytes]) -> list[tuple[float, float, float]]:
    """Sample the CPU time of the process, and of its main thread, until it ends."""
    samples = []
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            threads = {thread.id: thread.user_time + thread.system_time for thread in watched.threads()}
        except psutil.Error:
            break
        samples.append((time.time(), threads.get(process.pid, 0.0), sum(threads.values())))
        time.sleep(_SAMPLE_SECONDS)
    process.wait()
    return samples


@contextmanager
def _crowd(place: Workplace, config: Path, setting: Setting) -> Iterator[None]:
    loaded = load_config(config)
    editors = [Member(f"editor-{n}", "editor", setting.seconds, editor_spec(loaded)) for n in range(setting.editors)]
    rewards = [Member(f"reward-{n}", "reward", 0.0, reward_spec(loaded)) for n in range(setting.rewards)]
    members, folder = [*editors, *rewards], place.home / POOL
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        for number in range(_PROCESSES):
            own = members[number::_PROCESSES]
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.scale.crowd", str(folder), str(setting.kilobytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=place.environment,
            )
            stack.callback(_end, process)
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
            process.stdin.write(msgspec.json.encode(own))
            process.stdin.close()
            process.stdout.readline()
        launcher = StandIn(folder, members)
        stack.callback(launcher.close)
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each number of workers, and print one table."""
    options = _parser().parse_args(arguments)
    table = Table(title=f"edits of {options.seconds:g} s, {options.kilobytes} KB, {options.rounds} rounds")
    names = (
        "editors",
        "judge",
        "barriers",
        "jobs/s",
        "share",
        "thread ms/job",
        "thread busy",
        "process ms/job",
        "barrier ms",
    )
    for name in names:
        table.add_column(name, justify="right")
    with workplace() as place:
        for editors in options.editors:
            rewards = editors // 8 if options.judge else 0
            setting = Setting(editors, options.seconds, options.rounds, rewards, options.barriers, options.kilobytes)
            found = measure(place, setting, options.profile)
            place.clear()
            print(json.dumps({**asdict(setting), **asdict(found)}), flush=True)
            barrier = "" if found.barrier_ms is None else f"{found.barrier_ms:.0f}"
            figures = (f"{found.jobs_per_second:.1f}", f"{found.share:.3f}", f"{found.thread_ms:.2f}")
            more = (f"{found.thread_share:.2f}", f"{found.process_ms:.2f}", barrier)
            table.add_row(str(editors), str(rewards or ""), "yes" if options.barriers else "no", *figures, *more)
    Console(width=120).print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.scale", description=__doc__)
    parser.add_argument("editors", nargs="+", type=int, help="numbers of editors, each measured alone")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long an edit takes (default 1)")
    parser.add_argument("--rounds", type=int, default=6, help="edits per editor (default 6)")
    parser.add_argument("--kilobytes", type=int, default=420, help="size of each image (default 420)")
    parser.add_argument("--barriers", action="store_true", help="with barriers")
    parser.add_argument(
        "--judge", action="store_true", help="score each edit by a request of its own, beside the edits"
    )
    parser.add_argument("--profile", type=Path, help="write a profile of the scheduler's thread to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
