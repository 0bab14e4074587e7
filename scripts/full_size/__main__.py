"""``python -m scripts.full_size --models DIR...``: builds the models once, measures, and prints a table.

If a call has not enough time, the next one with the same folders continues.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.commands.arguments import positive
from scripts.bench.results import machine, raw_file
from scripts.full_size.architectures import SIZES, Size, architecture
from scripts.full_size.budget import EditTimes, TooLittleSpaceError, choose_folders
from scripts.full_size.build import model_bytes
from scripts.full_size.gpu import gpu_name, versions, watched
from scripts.full_size.jobs import OutOfTimeError
from scripts.full_size.results import (
    Record,
    Write,
    append_record,
    is_figure,
    latest,
    markdown_table,
    read_records,
    status_of,
)
from scripts.full_size.suite import GROUPS, MEASURES, MODELS, SuiteOptions, is_built, needed_models

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_STATE = "measured.jsonl"
_FULL_BATCHES, _TINY_BATCHES = (1, 2, 4, 8, 16), (1, 2)
_FULL_STEPS, _TINY_STEPS = 10, 2
_FULL_TOKENS, _TINY_TOKENS = 128, 4
_FULL_PAIRS, _TINY_PAIRS = 3, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as much as there is time for, print the table of all results, and return the exit code.

    It is 0 even if single measurements failed: their rows say so.
    """
    parsed = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        options = _suite_options(parsed)
    except TooLittleSpaceError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    if "reward" in options.folders:
        # A converted copy is as large as the reward, and goes where that found space.
        os.environ.setdefault("WARMBENCH_CACHE", str(options.folders["reward"].parent / "cache"))
    state = options.state / _STATE
    machine_is = {**gpu_name(options.device), **versions()}
    names = [name for name in MEASURES if name in _chosen(parsed.only)]
    try:
        with raw_file(parsed.output_dir) as (path, raw):
            raw({"measure": "conditions", **machine(), **machine_is, "arguments": _plain(vars(parsed))})

            def write(record: Record) -> None:
                raw(record)
                append_record(state, record)

            for name in _in_order(names, options, machine_is, read_records(state), again=parsed.again):
                _measure(name, options, machine_is, state, write)
    except KeyboardInterrupt:
        print("interrupted; no process is left running", file=sys.stderr)
        return EXIT_INTERRUPTED
    records = read_records(state)
    results = {name: latest(records, name, _conditions(name, options, machine_is)) for name in names}
    print("\n".join([*_title(options, machine_is), "", *markdown_table(results), ""]))
    print(f"raw figures: {path}; of all calls: {state}")
    return 0 if any(status_of(rows) == "done" for rows in results.values()) else EXIT_FAILED


def _measure(name: str, options: SuiteOptions, machine_is: Mapping[str, Any], state: Path, write: Write) -> None:
    """Measure it, and record its figures and how it ended."""
    measure, conditions = MEASURES[name], _conditions(name, options, machine_is)

    def say(status: str, **more: Any) -> None:
        write({"measure": name, "status": status, "time": time.time(), **conditions, **more})
        if status != "figure":
            print(f"{name}: {status} {more.get('message', '')}".rstrip().splitlines()[0], file=sys.stderr)

    if options.left < (measure.least if options.size == "full" else 0.0):
        say(
            "not reached",
            message=f"{max(0.0, options.left):.0f} s left, at least {measure.least:.0f} s needed",
        )
        return
    if lacking := [role for role in measure.needs if not is_built(options, role)]:
        say("failed", message=f"the {lacking[0]} is not built: run --only build-{lacking[0]}")
        return
    earlier = read_records(state)
    plain = latest(earlier, "edit", _conditions("edit", options, machine_is))
    known = dataclasses.replace(
        options,
        times=_times(plain) if measure.by_steps else None,
        measured=[row["what"] for row in latest(earlier, name, conditions) if is_figure(row)],
    )
    say("begun")
    started = time.monotonic()
    with watched(options.device) as watch:
        try:
            for row in measure.run(known):
                say("figure", **row)
            ended: dict[str, Any] = {"status": "done"}
        except OutOfTimeError as error:
            ended = {"status": "not reached", "message": str(error)}
        except Exception as error:  # noqa: BLE001 - any error is recorded, and the other measurements go on
            ended = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
    seconds = time.monotonic() - started
    peak = watch.figures()
    if "gpu_memory_peak_gb" in peak:
        say("figure", what=f"{name}: peak GPU memory", figure=f"{peak['gpu_memory_peak_gb']:.1f} GB", **peak)
    say(**ended, wall_seconds=seconds)


def _times(records: Sequence[Record]) -> EditTimes | None:
    """The times of the last edits without optimizations."""
    for row in records:
        if "seconds_per_edit" in row:
            return EditTimes(row["start_seconds"], row["first_edit_seconds"], row["seconds_per_edit"])
    return None


def _in_order(
    names: Sequence[str],
    options: SuiteOptions,
    machine_is: Mapping[str, Any],
    records: Sequence[Record],
    *,
    again: bool,
) -> list[str]:
    """The measurements to make: new ones first, then those that failed. A model is built only once."""
    ended = {name: status_of(latest(records, name, _conditions(name, options, machine_is))) for name in names}
    built = {f"build-{role}" for role in MODELS if is_built(options, role)}
    todo = [name for name in names if name not in built and (again or ended[name] != "done")]
    return sorted(todo, key=lambda name: ended[name] == "failed" and not name.startswith("build-"))


def _conditions(name: str, options: SuiteOptions, machine_is: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions that a figure depends on."""
    steps = {"steps": options.steps} if MEASURES[name].by_steps else {}
    gpu = machine_is.get("gpu") or options.device
    return {"size": options.size, "layers": options.layers, "gpu": gpu, **steps}


def _title(options: SuiteOptions, machine_is: Mapping[str, Any]) -> list[str]:
    on = str(machine_is.get("gpu", f"no GPU ({options.device}): its memory, nf4 and gpus_per_worker are not measured"))
    if "driver" in machine_is:
        on += f" ({machine_is['gpu_memory_gb']} GB), driver {machine_is['driver']}"
    used = ", ".join(f"{library} {version}" for library, version in versions().items())
    depth = "all layers" if options.layers is None else f"at most {options.layers} layers"
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return [f"{today}: {options.size} size, {depth}, random weights. {on}; {used}."]


def _chosen(only: Sequence[str] | None) -> set[str]:
    return {name for given in only or MEASURES for name in GROUPS.get(given, [given])}


def _suite_options(parsed: argparse.Namespace) -> SuiteOptions:
    full = parsed.size == "full"
    state = parsed.output_dir.absolute()
    state.mkdir(parents=True, exist_ok=True)
    return SuiteOptions(
        size=parsed.size,
        layers=parsed.layers,
        steps=parsed.steps or (_FULL_STEPS if full else _TINY_STEPS),
        pairs=parsed.pairs or (_FULL_PAIRS if full else _TINY_PAIRS),
        tokens=_FULL_TOKENS if full else _TINY_TOKENS,
        batches=_FULL_BATCHES if full else _TINY_BATCHES,
        device=parsed.device or ("cuda:0" if full else "cpu"),
        folders=_folders(
            parsed.size, parsed.layers, [path.absolute() for path in parsed.models], needed_models(_chosen(parsed.only))
        ),
        state=state,
        until=time.time() + 60 * parsed.minutes,
    )


def _folders(size: Size, layers: int | None, places: Sequence[Path], roles: Sequence[str]) -> dict[str, Path]:
    """The folder of each model, named by its size: where it is, or was begun, else where there is space.

    Raises:
        TooLittleSpaceError: there is too little space in all places.
    """
    depth = "" if layers is None else f"-{layers}"
    names = {role: f"{role}-{size}{depth}" for role in roles}
    folders: dict[str, Path] = {}
    free: dict[int, tuple[Path, int]] = {}
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        folders |= {role: place / name for role, name in names.items() if (place / name).exists()}
        free.setdefault(place.stat().st_dev, (place, shutil.disk_usage(place).free))
    if missing := names.keys() - folders:
        sizes = {role: size for role, size in model_bytes(architecture(size, layers)).items() if role in missing}
        chosen = choose_folders(sizes, dict(free.values()))
        folders |= {role: place / names[role] for role, place in chosen.items()}
    return folders


def _plain(parsed: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(parsed), default=str))  # type: ignore[no-any-return]


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.full_size", description=__doc__)
    parser.add_argument(
        "--models",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders for the models: each goes where it has space; full, the editor takes 58 GB, Kontext 34 GB, the "
        "reward 62 GB",
    )
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: the same on a CPU, a few MB")
    parser.add_argument("--layers", type=positive, help="limit all models to this many layers")
    parser.add_argument("--steps", type=positive, help=f"denoising steps (default {_FULL_STEPS})")
    parser.add_argument("--pairs", type=positive, help=f"edits per run (default {_FULL_PAIRS})")
    parser.add_argument("--device", help="cuda, cuda:N or cpu (default: cuda:0; tiny: cpu)")
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit of this call (default 9)")
    parser.add_argument("--only", action="append", choices=[*GROUPS, *MEASURES], help="only this; may be repeated")
    parser.add_argument("--again", action="store_true", help="repeat measurements that are done")
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("outputs/full-size"),
        help="folder for figures",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
