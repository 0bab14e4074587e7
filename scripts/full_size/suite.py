"""All measurements, the most important first, and what each needs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scheduler.pool.residency import off_device
from scripts.bench.workplace import Workplace, workplace
from scripts.full_size.architectures import Size, architecture
from scripts.full_size.jobs import run_job
from scripts.full_size.product import edit_parameters, editor_section, run_edits, run_switch
from scripts.full_size.rates import SCORINGS

_HASHES = ".fingerprints.json"
_SWITCH_STEPS = 4
_ENTRY = {"editor": "model_index.json", "reward": "config.json"}


@dataclass(frozen=True)
class SuiteOptions:
    """What to measure, where, and until when (in seconds since the epoch). ``beside`` is the seconds per edit without
    optimizations, under the same conditions, if known."""

    size: Size
    layers: int | None
    steps: int
    pairs: int
    tokens: int
    batches: Sequence[int]
    device: str
    models: Path
    reward_models: Path
    until: float
    beside: float | None = None

    def folder(self, role: str) -> Path:
        """The folder of this role's model, named by its size."""
        depth = "" if self.layers is None else f"-{self.layers}"
        return (self.models if role == "editor" else self.reward_models) / f"{role}-{self.size}{depth}"

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
    return (options.folder(role) / _ENTRY[role]).exists()


def _build(role: str) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        job = {"role": role, "folder": str(options.folder(role)), "until": options.until, **_common(options)}
        with workplace() as place:
            yield from run_job(place.new_folder("p"), "scripts.full_size.build", job, options.left)

    return run


def _edit(options: SuiteOptions) -> Iterator[Row]:
    with _place(options) as place:
        edits = run_edits(place, _editor(options, {}), pairs=options.pairs, samples=1, seconds=options.left)
    what = f"an edit at {_side(options)}, {options.steps} steps, guidance"
    yield {"what": what, "figure": f"{edits['seconds_per_edit']:.2f} s", **edits}
    yield {"what": "the first edit of a worker", "figure": f"{edits['first_edit_seconds']:.2f} s"}
    if edits["gap_seconds"]:
        gaps = edits["gap_seconds"]
        yield {"what": "the device's wait between two edits, the longest", "figure": f"{1000 * max(gaps):.1f} ms"}
    yield {"what": "efficiency of the edit stage", "figure": f"{edits['efficiency']:.4f}"}
    yield {"what": "loading, files hashed", "figure": ", ".join(f"{s:.0f} s" for s in edits["load_seconds"].values())}


def _option(name: str, value: Any) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        samples = 2 if name == "keep_prompt_embeddings" else 1
        with _place(options) as place:
            editor = _editor(options, {name: value})
            edits = run_edits(place, editor, pairs=options.pairs, samples=samples, seconds=options.left)
        seconds = edits["seconds_per_edit"]
        beside = f", {seconds / options.beside:.3f} of the time without it" if options.beside else ""
        first = f"; the first {edits['first_edit_seconds']:.1f} s"
        what = f"an edit with `{name}: {str(value).lower()}`, {options.steps} steps"
        if samples > 1:
            what += ", a pair's second sample"
        yield {"what": what, "figure": f"{seconds:.2f} s{beside}{first}", **edits}

    return run


def _score(options: SuiteOptions) -> Iterator[Row]:
    job = {
        "folder": str(options.folder("reward")),
        "scorings": SCORINGS,
        "batches": list(options.batches),
        "tokens": options.tokens,
        "side": architecture(options.size, None).side,
        "repeat": 3,
        "seconds_each": 12.0,
        **_common(options),
    }
    with workplace() as place:
        yield from run_job(place.new_folder("p"), "scripts.full_size.rates", job, options.left)


def _moves(role: str, kind: str) -> Callable[[SuiteOptions], Iterator[Row]]:
    def run(options: SuiteOptions) -> Iterator[Row]:
        folder, parts = options.folder(role), architecture(options.size, None)
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


def _switch(options: SuiteOptions) -> Iterator[Row]:
    sizes = [sum(path.stat().st_size for path in options.folder(role).rglob("*.safetensors")) for role in _ENTRY]
    away = off_device(sizes, psutil.virtual_memory().available)
    reward = {
        "type": "qwen3_vl",
        "model_name": str(options.folder("reward")),
        "device": options.device,
        "dtype": architecture(options.size, None).dtype,
        "scoring": "logits",
    }
    editor = {**_editor(options, {}), "num_inference_steps": min(_SWITCH_STEPS, options.steps)}
    with _place(options) as place:
        switch = run_switch(place, editor, reward, pairs=2, seconds=options.left)
    figure = f"{switch['between_stages_seconds']:.1f} s"
    yield {"what": f"the switch of a run, weights move to {away}", "figure": figure, "away": away, **switch}


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
            measures[name] = Measure(_option(option, value), ["editor"], 120.0, by_steps=True)
    return measures


MEASURES: Mapping[str, Measure] = {
    "build-editor": Measure(_build("editor"), [], 30.0),
    "edit": Measure(_edit, ["editor"], 120.0, by_steps=True),
    "build-reward": Measure(_build("reward"), [], 30.0),
    "score": Measure(_score, ["reward"], 90.0),
    "moves-editor": Measure(_moves("editor", "qwen_image_edit"), ["editor"], 120.0, by_steps=True),
    **_options(),
    "switch": Measure(_switch, ["editor", "reward"], 150.0),
    "moves-reward": Measure(_moves("reward", "qwen3_vl"), ["reward"], 90.0),
}
"""The most important first."""

GROUPS: Mapping[str, Sequence[str]] = {
    role: [name for name, measure in MEASURES.items() if name == f"build-{role}" or list(measure.needs) == [role]]
    for role in ("editor", "reward")
} | {
    "options": list(_options()),
}


def _common(options: SuiteOptions) -> dict[str, Any]:
    dtype = architecture(options.size, None).dtype
    return {"size": options.size, "layers": options.layers, "device": options.device, "dtype": dtype}


def _editor(options: SuiteOptions, optimizations: Mapping[str, Any]) -> dict[str, Any]:
    parts = architecture(options.size, None)
    return editor_section(
        str(options.folder("editor")),
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
        kept, here = options.models / _HASHES, place.folder / "home" / _HASHES
        if kept.exists():
            shutil.copy(kept, here)
        try:
            yield place
        finally:
            if here.exists():
                shutil.copy(here, kept)
