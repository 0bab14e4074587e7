"""Weights & Biases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.trackers.declaration import TrackedRun, TrackerType
from workers.models.declaration import Conflict, Key


def _conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    if values["run_id"] is not None and values["mode"] == "offline":
        message = "a run that exists on the server cannot be continued with `mode: offline`"
        yield Conflict((("run_id",), ("mode",)), message, "leave one of the two out")


def send(run: TrackedRun, options: Mapping[str, Any]) -> str | None:
    """Add the results to the run of the series, or to the run ``run_id``."""
    import wandb

    own = options["run_id"] is None
    mode: Any = options["mode"] or os.environ.get("WANDB_MODE") or "online"
    settings: dict[str, Any] = {
        "console": "off",
        "disable_code": True,
        "disable_git": True,
        "init_timeout": 0.8 * options["timeout_seconds"],  # so that it says why, before its time is over
        "silent": True,
        "x_disable_machine_info": True,
        "x_disable_stats": True,
        "x_save_requirements": False,
    }
    if not own and mode == "online":
        # The training may still write this run: only this mode lets several processes do so, and leaves its state.
        mode = "shared"
        settings |= {"x_label": "warmbench", "x_primary": False, "x_update_finish_state": False}
    tracked = wandb.init(
        project=options["project"] or os.environ.get("WANDB_PROJECT") or "warmbench",
        entity=options["entity"],
        id=options["run_id"] or f"warmbench-{run.series}",
        name=run.name if own else None,
        group=options["group"],
        tags=list(options["tags"]) or None,
        config={"warmbench": dict(run.settings)},
        allow_val_change=True,
        resume="allow" if own else "must",
        dir=os.environ.get("WANDB_DIR") or run.folder,
        mode=mode,
        settings=wandb.Settings(**settings),
    )
    # A step of its own: W&B's counter would refuse checkpoints that are older than what the run has already.
    step = f"{run.prefix}/step"
    tracked.define_metric(step, hidden=True)
    logged: dict[str, Any] = {f"{run.prefix}/{name.replace('*', '_')}": value for name, value in run.numbers.items()}
    if run.pairs:
        logged |= {f"{run.prefix}/table": _table(run), f"{run.prefix}/edits": _images(run)}
    for name in logged:  # one by one: a pattern would also move what the training itself logs under this prefix
        tracked.define_metric(name, step_metric=step)
    tracked.log(logged | {step: run.step or 0})
    _save_files(tracked, run)
    address = tracked.url if mode != "offline" else None
    offline = str(Path(tracked.dir).parent)
    tracked.finish()
    wandb.teardown()
    return address or f"{offline} (upload it with `wandb sync`)"


def _table(run: TrackedRun) -> Any:
    import wandb

    columns = ["run", "category", "pair", "instruction", "source", "edit", "score"]
    rows = [
        [
            run.title,
            pair.category,
            pair.pair_id,
            pair.instruction,
            wandb.Image(pair.source),
            wandb.Image(pair.edit),
            pair.score,
        ]
        for pair in run.pairs
    ]
    return wandb.Table(columns=columns, data=rows)


def _images(run: TrackedRun) -> list[Any]:
    """The edits, which a panel shows with a slider over the steps."""
    import wandb

    captions = [f"{pair.score:.4g} " if pair.score is not None else "" for pair in run.pairs]
    return [
        wandb.Image(pair.edit, caption=f"{caption}{pair.category}/{pair.pair_id}: {pair.instruction}")
        for pair, caption in zip(run.pairs, captions, strict=True)
    ]


def _save_files(tracked: Any, run: TrackedRun) -> None:
    """Copies: the run's own files may be gone or changed when an offline run is uploaded."""
    place = Path(tracked.dir, "warmbench", run.run)
    place.mkdir(parents=True, exist_ok=True)
    for name, path in run.files.items():
        shutil.copyfile(path, place / name)
        tracked.save(str(place / name), base_path=tracked.dir, policy="now")


TRACKER = TrackerType(
    name="wandb",
    meaning="Weights & Biases.",
    send=send,
    keys=(
        Key("project", "text", None, "Left out: that of WANDB_PROJECT, else `warmbench`.", low=1, high=128),
        Key("entity", "text", None, "The user or team; left out: that of WANDB_ENTITY, else yours.", low=1, high=128),
        Key(
            "run_id",
            "text",
            None,
            "The id of a run to write into, such as that of the training, which may still be running.",
            pattern=r"^[^/\\#?%:\s]{1,128}$",
        ),
        Key("group", "text", None, "The group of its runs.", low=1, high=128),
        Key("tags", "list", (), "Tags of its runs.", high=50),
        Key(
            "mode",
            "choice",
            None,
            "`offline`: written to disk, for `wandb sync`. Left out: that of WANDB_MODE, else `online`.",
            choices=("online", "offline"),
        ),
    ),
    rules=(_conflicts,),
    packages={"wandb": "0.21"},
)
