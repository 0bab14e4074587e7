"""All measurements, the most important first, and what each needs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.host_memory import available_memory
from scheduler.config.devices import visible_gpus
from scheduler.pool.residency import Weights, off_device
from scripts.bench.workplace import Workplace, workplace
from scripts.full_size.architectures import Size, architecture
from scripts.full_size.budget import EditTimes, fitting_pairs
from scripts.full_size.jobs import OutOfTimeError, run_job
from scripts.full_size.product import edit_parameters, editor_section, run_edits, run_past_death, run_switch
from scripts.full_size.rates import SCORINGS

_HASHES = ".fingerprints.json"
_SWITCH_STEPS = 4
_COMPILE_SECONDS = 60.0
_BREAKS = "scripts.full_size.broken_context.BreaksContextOnce"
MODELS: Mapping[str, str] = {"editor": "model_index.json", "kontext": "model_index.json", "reward": "config.json"}
"""The file of each model that is written last."""
_TYPES = {"editor": "qwen_image_edit", "kontext": "diffusers"}


@dataclass(frozen=True)
class SuiteOptions:
    """What to measure, where, and until when (in seconds since the epoch).

    ``folders`` are those of the models, ``state`` is where hashes are kept. ``times`` are those of edits without
    optimizations, under the same conditions, if known. ``measured``: the figures that an earlier call has made.
    """

    size: Size
    layers: int | None
    steps: int
    pairs: int
    tokens: int
    batches: Sequence[int]
    device: str
    folders: Mapping[str, Path]
    state: Path
    until: float
    times: EditTimes | None = None
    measured: Collection[str] = ()

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.until - time.time()


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One measurement. ``needs`` are the models that must be on disk, ``least`` the seconds that it needs at full size;
    ``by_steps``: its figures depend on the number of denoising steps."""

    run: Callable[[SuiteOptions], Iterator[Row]]
    needs: Sequence[str]
    least: float
    by_steps: bool = False


def is_built(options: SuiteOptions, role: str) -> bool:
    """Whether all of the model's files are there."""
    return role in options.folders and (options.folders[role] / MODELS[role]).exists()


def _build(role: str) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        job = {"role": role, "folder": str(options.folders[role]), "until": options.until, **_common(options)}
        with workplace() as place:
            yield from run_job(place.new_folder("p"), "scripts.full_size.build", job, options.left)

    return run


def _edit(options: SuiteOptions) -> Iterator[Row]:
    with _place(options) as place:
        edits = _run_edits(place, options, {})
    what = f"an edit at {_side(options)}, {options.steps} steps, guidance"
    yield {"what": what, "figure": f"{edits['seconds_per_edit']:.2f} s", **edits}
    yield {"what": "the first edit of a worker", "figure": f"{edits['first_edit_seconds']:.2f} s"}
    if edits["gap_seconds"]:
        gaps = edits["gap_seconds"]
        yield {"what": "the device's wait between two edits, the longest", "figure": f"{1000 * max(gaps):.1f} ms"}
    if edits["complete"]:
        loads = ", ".join(f"{seconds:.0f} s" for seconds in edits["load_seconds"].values())
        yield {"what": "efficiency of the edit stage", "figure": f"{edits['efficiency']:.4f}"}
        yield {"what": "loading, files hashed", "figure": loads}
    _check_complete(edits)


def _option(name: str, value: Any) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        samples = 2 if name == "keep_prompt_embeddings" else 1
        with _place(options) as place:
            edits = _run_edits(place, options, {name: value}, samples=samples)
        seconds, plain = edits["seconds_per_edit"], options.times
        beside = f", {seconds / plain.each:.3f} of the time without it" if plain else ""
        first = f"; the first {edits['first_edit_seconds']:.1f} s"
        what = f"an edit with `{name}: {str(value).lower()}`, {options.steps} steps"
        if samples > 1:
            what += ", a pair's second sample"
        yield {"what": what, "figure": f"{seconds:.2f} s{beside}{first}", **edits}
        _check_complete(edits)

    return run


def _run_edits(
    place: Workplace, options: SuiteOptions, optimizations: Mapping[str, Any], samples: int = 1
) -> dict[str, Any]:
    extra = _COMPILE_SECONDS if "compile_repeated_blocks" in optimizations else 0.0
    pairs = fitting_pairs(options.pairs, samples, options.left, options.times, extra)
    editor = _editor(options, optimizations)
    return run_edits(place, editor, pairs=pairs, samples=samples, seconds=options.left)


def _check_complete(edits: Mapping[str, Any]) -> None:
    if not edits["complete"]:
        raise OutOfTimeError(f"time for {1 + len(edits['gap_seconds'])} edits only")


def _score(options: SuiteOptions) -> Iterator[Row]:
    job = {
        "folder": str(options.folders["reward"]),
        "scorings": SCORINGS,
        "batches": list(options.batches),
        "tokens": options.tokens,
        "side": architecture(options.size, None).side,
        "repeat": 3,
        "seconds_each": 12.0,
        "measured": list(options.measured),
        **_common(options),
    }
    with workplace() as place:
        yield from run_job(place.new_folder("p"), "scripts.full_size.rates", job, options.left)


def _moves(role: str, kind: str) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        folder, parts = options.folders[role], architecture(options.size, None)
        job = {
            "role": role,
            "type": kind,
            "folder": str(folder),
            "second": str(folder.with_name(f"{folder.name}-second")),
            "side": parts.side,
            "parameters": edit_parameters(parts.side, options.steps),
            **_common(options),
        }
        with workplace() as place:
            yield from run_job(place.new_folder("p"), "scripts.full_size.moves", job, options.left)

    return run


def ways_job(role: str, options: SuiteOptions) -> dict[str, Any]:
    """The job of ``scripts.full_size.ways``."""
    side = architecture(options.size, None).side
    guided = edit_parameters(side, options.steps)
    plain = {key: value for key, value in guided.items() if key not in ("true_cfg_scale", "negative_prompt")}
    folder = options.folders[role]
    return {
        "role": role,
        "type": _TYPES[role],
        "folder": str(folder),
        "parameters": guided if role == "editor" else plain,
        "side": side,
        "kept": str(options.state / f"{folder.name}-{options.steps}-steps.png"),
        "measured": list(options.measured),
        **_common(options),
    }


def _ways(role: str) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        with workplace() as place:
            yield from run_job(place.new_folder("p"), "scripts.full_size.ways", ways_job(role, options), options.left)

    return run


def _switch(options: SuiteOptions) -> Iterator[Row]:
    files = {role: options.folders[role].rglob("*.safetensors") for role in ("editor", "reward")}
    weights = [Weights(role, sum(path.stat().st_size for path in paths), 0) for role, paths in files.items()]
    away = off_device(weights, available_memory())
    reward = {
        "type": "qwen3_vl",
        "model_name": str(options.folders["reward"]),
        "device": options.device,
        "dtype": architecture(options.size, None).dtype,
        "scoring": "logits",
    }
    editor = {**_editor(options, {}), "num_inference_steps": min(_SWITCH_STEPS, options.steps)}
    with _place(options) as place:
        switch = run_switch(place, editor, reward, pairs=2, seconds=options.left)
    figure = f"{switch['between_stages_seconds']:.1f} s"
    yield {"what": f"the switch of a run, weights move to {away}", "figure": figure, "away": away, **switch}


def _context(options: SuiteOptions) -> Iterator[Row]:
    with _place(options) as place:
        marker = str(place.folder / "marker")
        editor = {"class_path": _BREAKS, "marker": marker, "device": options.device, "enable_batch_sync": False}
        seconds = run_past_death(place, editor, pairs=3, seconds=options.left)
    what = "an assert on the device ends the worker: a new one has edited after"
    yield {"what": what, "figure": f"{seconds:.1f} s", "seconds": seconds}


def _spread(options: SuiteOptions) -> Iterator[Row]:
    """Edits of a model on two GPUs beside those on one."""
    if (gpus := len(visible_gpus())) < 2 or options.device == "cpu":
        found = f"this machine has {gpus} GPU{'' if gpus == 1 else 's'}" if options.device != "cpu" else "on a CPU"
        yield {"what": "an edit on two GPUs", "figure": f"not measured: {found}", "gpus": gpus}
        return
    runs = []
    for count in (1, 2):
        with _place(options) as place:
            editor = {**_editor(options, {}), "gpus_per_worker": count}
            runs.append(run_edits(place, editor, pairs=2, samples=1, seconds=options.left))
            _check_complete(runs[-1])
    one, two = runs
    same = "the same bytes" if one["sha256"] == two["sha256"] else "other bytes"
    share = two["seconds_per_edit"] / one["seconds_per_edit"]
    figure = f"{two['seconds_per_edit']:.2f} s, {share:.3f} of the time on one; {same}"
    what = f"an edit on two GPUs, {options.steps} steps"
    yield {"what": what, "figure": figure, "gpus": gpus, "one": one, "two": two}


_SWITCHED_ON: Mapping[str, Sequence[Any]] = {
    "compile_repeated_blocks": [True],
    "attention_backend": ["_native_cudnn", "flash", "_flash_3"],
    "keep_prompt_embeddings": [True],
    "first_block_cache": [0.1],
    "taylorseer_cache": [5],
    "fp8": [True],
    "cache_dit": [True],
}


def _options() -> dict[str, Measure]:
    measures = {}
    for option, values in _SWITCHED_ON.items():
        for value in values:
            name = f"option:{option}" if len(values) == 1 else f"option:{option}={value}"
            measures[name] = Measure(_option(option, value), ["editor"], 60.0, by_steps=True)
    return measures


MEASURES: Mapping[str, Measure] = {
    "build-editor": Measure(_build("editor"), [], 30.0),
    "edit": Measure(_edit, ["editor"], 60.0, by_steps=True),
    "build-reward": Measure(_build("reward"), [], 30.0),
    "switch": Measure(_switch, ["editor", "reward"], 120.0),
    "score": Measure(_score, ["reward"], 60.0),
    "context": Measure(_context, [], 40.0),
    "ways-editor": Measure(_ways("editor"), ["editor"], 120.0, by_steps=True),
    "build-kontext": Measure(_build("kontext"), [], 30.0),
    "ways-kontext": Measure(_ways("kontext"), ["kontext"], 120.0, by_steps=True),
    **_options(),
    "spread": Measure(_spread, ["editor"], 120.0, by_steps=True),
    "moves-editor": Measure(_moves("editor", "qwen_image_edit"), ["editor"], 120.0, by_steps=True),
    "moves-reward": Measure(_moves("reward", "qwen3_vl"), ["reward"], 90.0),
}
"""The most important first."""

GROUPS: Mapping[str, Sequence[str]] = {
    role: [name for name, measure in MEASURES.items() if name == f"build-{role}" or list(measure.needs) == [role]]
    for role in MODELS
} | {
    "options": list(_options()),
    "ways": ["ways-editor", "ways-kontext"],
}


def needed_models(names: Collection[str]) -> list[str]:
    """The models that these measurements build or need."""
    needed = {role for name in names for role in MEASURES[name].needs}
    return [role for role in MODELS if role in needed or f"build-{role}" in names]


def _common(options: SuiteOptions) -> dict[str, Any]:
    dtype = architecture(options.size, None).dtype
    return {"size": options.size, "layers": options.layers, "device": options.device, "dtype": dtype}


def _editor(options: SuiteOptions, optimizations: Mapping[str, Any]) -> dict[str, Any]:
    parts = architecture(options.size, None)
    return editor_section(
        str(options.folders["editor"]),
        device=options.device,
        dtype=parts.dtype,
        side=parts.side,
        steps=options.steps,
        optimizations=optimizations,
    )


def _side(options: SuiteOptions) -> str:
    side = architecture(options.size, None).side
    return f"{side} x {side}"


@contextmanager
def _place(options: SuiteOptions) -> Iterator[Workplace]:
    """A workplace with the cached hashes of files that an earlier one has read."""
    with workplace() as place:
        kept, here = options.state / _HASHES, place.folder / "home" / _HASHES
        if kept.exists():
            shutil.copy(kept, here)
        try:
            yield place
        finally:
            if here.exists():
                shutil.copy(here, kept)
