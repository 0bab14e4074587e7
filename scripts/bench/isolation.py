"""The cost of a reward in another environment than the scheduler and the editors."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import msgspec

from scheduler.config.layout import resolve_layout
from scheduler.config.loading import load_config
from scheduler.pool.pool_plan import pool_plan
from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import FinishedRun
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.workplace import Workplace

_ROOT = Path(__file__).resolve().parents[2]
_POOLS = {"same": "here", "other": "apart"}
_BATCH = 4


def measure_isolation(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """The wall time of a run whose reward is the longer stage, with the reward in this and in its own environment."""
    editor = {"device_ids": ["cpu", "cpu"], "latency_ms": settings.latency_ms / 4}
    reward = {"device": "cpu", "batch_size": _BATCH, "latency_ms": settings.isolation_batch_ms}
    pythons = {"same": Path(sys.executable), "other": _make_environment(place.folder / "env")}
    for who, pool in _POOLS.items():
        _launch(place, place.write_config(data.path, editor, reward), pool, pythons[who])
    walls: dict[str, list[float]] = {who: [] for who in _POOLS}
    for number in range(settings.repeat):
        for who, pool in _POOLS.items():
            run = place.run(data.path, "--no-launch", "--keep-warm", pool=pool, editor=editor, reward=reward)
            walls[who].append(_wall(run))
            record({"figure": "isolation", "who": who, "repeat": number, "wall_seconds": walls[who][-1]})
            place.clear()
    for pool in _POOLS.values():
        place.stop(pool)
    ratio = min(walls["other"]) / min(walls["same"])
    return [Ratio("isolation", "warmbench, reward elsewhere", ratio, "the wall time / that with one environment")]


def _make_environment(folder: Path) -> Path:
    """Make an environment with copies of the packages that a worker needs; return its Python.

    Copies, because pip takes eight CPU seconds to install the same files, and needs an index.
    """
    venv.create(folder)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for name in _needed():
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and (source := Path(str(file.locate()))).is_file():
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, packages / file)
    (packages / "warmbench.pth").write_text(f"{_ROOT}\n", encoding="utf-8")
    return python


def _needed() -> Sequence[str]:
    """The packages of the base, and those of a simulated reward. None of them needs another one."""
    base = [requirement for requirement in metadata.requires("warmbench") or () if "extra ==" not in requirement]
    return [*(re.split(r"[^\w.-]", requirement)[0] for requirement in base), "pillow", "numpy"]


def _launch(place: Workplace, config_path: Path, pool: str, python: Path) -> None:
    """Launch the config's pool, with another Python for the reward."""
    config = load_config(config_path)
    plan = pool_plan(config, resolve_layout(config, ()), keep=True)
    workers = [
        msgspec.structs.replace(worker, command=[str(python)]) if worker.role == "reward" else worker
        for worker in plan.workers
    ]
    place.launch(msgspec.structs.replace(plan, name=pool, workers=workers))


def _wall(run: FinishedRun) -> float:
    rows = [*run.of("edited"), *run.of("scored")]
    return max(float(row["finished"]) for row in rows) - min(float(row["started"]) for row in rows)
